"""Dataset formats, one per module. Each has a `read` function and an entry in the catalog."""
