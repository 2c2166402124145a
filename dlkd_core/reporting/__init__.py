"""Documents about a run: the report, the model card and the other documents of a bundle."""
