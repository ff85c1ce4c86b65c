"""One file per stage, and the child process they run in. The daemon imports only `base`, `scenes` and `models`."""
