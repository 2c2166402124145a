"""Reports about a run: the report itself, the model card and the bundle's documents."""
