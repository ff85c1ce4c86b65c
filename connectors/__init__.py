"""One file per media server, behind one protocol."""
