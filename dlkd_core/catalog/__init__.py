"""Everything that a spec can select by name, with parameters, limits and sources.

This package is torch-free. To add a method, network family or exporter, add a module, an entry here
and a test.
"""

from dlkd_core.catalog.architectures import ARCHITECTURES, Architecture, find_architecture
from dlkd_core.catalog.description import describe_catalog
from dlkd_core.catalog.evaluation_protocols import EVALUATIONS, EvaluationProtocol
from dlkd_core.catalog.exporters import EXPORTERS, ExporterEntry
from dlkd_core.catalog.methods import METHODS, MethodChoice
from dlkd_core.catalog.methods.base_method import Method

__all__ = [
    "ARCHITECTURES",
    "EVALUATIONS",
    "EXPORTERS",
    "METHODS",
    "Architecture",
    "EvaluationProtocol",
    "ExporterEntry",
    "Method",
    "MethodChoice",
    "describe_catalog",
    "find_architecture",
]
