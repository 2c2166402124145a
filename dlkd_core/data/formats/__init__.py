"""Data set formats, one per file. Each has a `read` function and an entry in the catalog."""
