"""What is kept: one SQLite file, one writing thread, one module per noun."""
