"""Checks of a dataset's images, classes and labels, and the report about them."""
