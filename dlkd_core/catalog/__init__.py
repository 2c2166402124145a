"""Everything that a spec picks by name, with parameters, limits and sources. Loads no torch.

A new method, network family or exporter is one source file, one entry here and one test.
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
