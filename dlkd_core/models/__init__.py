"""The networks: one family a file. `build` makes one by its catalog name; `Tapped` shows its outputs."""

from dlkd_core.models.network import Network, build
from dlkd_core.models.tapped import Tapped

__all__ = ["Network", "Tapped", "build"]
