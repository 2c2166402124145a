"""The menu: everything that a spec picks by name, with its parameters, limits and source. No torch here.

A new method, network family or exporter is one file of code, one entry here and one test.
"""

from dlkd_core.catalog.architectures import ARCHITECTURES, Architecture, find_architecture
from dlkd_core.catalog.evaluations import EVALUATIONS, Evaluation
from dlkd_core.catalog.exporters import EXPORTERS, Exporter
from dlkd_core.catalog.menu import describe
from dlkd_core.catalog.method import Method
from dlkd_core.catalog.methods import METHODS, MethodChoice

__all__ = [
    "ARCHITECTURES",
    "EVALUATIONS",
    "EXPORTERS",
    "METHODS",
    "Architecture",
    "Evaluation",
    "Exporter",
    "Method",
    "MethodChoice",
    "describe",
    "find_architecture",
]
