"""One file per stage, and the child process they run in.

The daemon imports only the light modules: `base`, `scenes`, `models`, `fetch`.
"""
