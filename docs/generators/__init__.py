"""Generators for the parts of the documentation that are derived from the code.

`mkdocs build` calls them through `mkdocs_hooks`: tables, formulas, diagrams and source pages.
"""
