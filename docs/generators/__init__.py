"""Generators for the parts of the documentation that are derived from the code.

These are tables, formulas, diagrams and source pages. `mkdocs build` runs the generators
through `mkdocs_hooks`.
"""
