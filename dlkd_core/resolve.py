"""From the catalog's ``module:name`` to the thing itself, imported when it is needed."""

from importlib import import_module
from typing import Any


def resolve(target: str) -> Any:
    """The attribute that ``module:name`` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
