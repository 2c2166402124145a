"""Network architectures, one family per file.

`build_network` builds a network by its catalog name. `FeatureExtractor` wraps it to return not only
logits but also features and feature maps.
"""

from dlkd_core.models.feature_extractor import FeatureExtractor
from dlkd_core.models.network import Network, build_network

__all__ = ["FeatureExtractor", "Network", "build_network"]
