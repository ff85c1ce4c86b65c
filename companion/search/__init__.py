"""Finding moments: parse what was typed, ask the indexes, fuse, explain."""
