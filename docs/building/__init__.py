"""What `mkdocs build` adds to the pages: tables that follow from the code, formulas, drawings and pages of sources."""
