"""Exporters: each writes the student in one format and can load the file back."""

from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.student import Student
from dlkd_core.export.verified_export import export_all

__all__ = ["ExportContext", "Student", "export_all"]
