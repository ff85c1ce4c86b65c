"""The page and the API: every URL, what templates receive, and what may be reached from where."""
