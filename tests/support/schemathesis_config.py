"""Configuration of schemathesis, with the checks that do not apply to this service."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")  # tus
_DISABLED = {"enabled": False}
_CHECKS = {
    "positive_data_acceptance": _DISABLED,  # valid ids, cursors and files are unknown to schemas
    "negative_data_rejection": _DISABLED,  # unknown parameters are ignored
}
_OPERATIONS = [
    # These paths also match /v1/models/{model}, so they answer to its methods with 404.
    {
        "include-path": ["/v1/models/compare", "/v1/models/import"],
        "checks": {"allow_header_conformance": _DISABLED},
    },
    # tus answers 412 to a missing protocol version before it checks anything else.
    {
        "include-path-regex": "^/v1/uploads",
        "checks": {"missing_required_header": {"expected-statuses": [400, 412, 422]}},
    },
    # Its thousands of boundary cases would take too long. The random cases stay.
    {"include-name": "POST /v1/jobs", "phases": {"coverage": _DISABLED}},
]


def build_config(key: str | None = None) -> SchemathesisConfig:
    """Return the configuration. With a key, most requests are authenticated."""
    auth = {"auth": {"openapi": {"key": {"bearer": key}}}} if key else {}
    return SchemathesisConfig.from_dict({"checks": _CHECKS, "operations": _OPERATIONS, **auth})


def make_hypothesis_settings(number: int) -> settings:
    """Return settings for that many reproducible examples per operation."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
