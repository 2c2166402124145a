"""The queue door: takes jobs from the registry and runs each in a trainer process of its own."""
