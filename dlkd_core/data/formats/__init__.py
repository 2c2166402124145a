"""Dataset formats, one per module. Each module has a `read` function and a catalog entry."""
