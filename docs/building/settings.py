"""The settings as the code reads them."""

from typing import Any

from docs.building import tables
from registry.settings import Settings

_PREFIX = Settings.model_config["env_prefix"]
_FROM = {"worker_name": "the host's name", "database_url": "SQLite in the data folder", "broker_url": "files in the data folder",
         "store_url": "a folder in the data folder"}  # fmt: skip  # defaults that are made when it starts


def table() -> str:
    """Every setting with its default, limits and meaning."""
    properties = Settings.model_json_schema()["properties"]
    rows = (
        (f"`{_PREFIX}{name.upper()}`", _default(name, field), tables.kind(field), field.get("description", ""))
        for name, field in properties.items()
    )
    return tables.table(("setting", "default", "type and limits", "meaning"), rows)


def _default(name: str, field: dict[str, Any]) -> str:
    if name in _FROM:
        return _FROM[name]
    return "none" if field.get("default") is None and "default" in field else tables.code(field.get("default", {}))
