"""How schemathesis is told to ask the service, and what it cannot know of it."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")  # tus
_OFF = {"enabled": False}
_CHECKS = {
    "positive_data_acceptance": _OFF,  # no schema tells which ids, cursors and files there are
    "negative_data_rejection": _OFF,  # a parameter that a route does not have does it no harm
}
_OPERATIONS = [
    # These are also paths of /v1/models/{model}, whose methods they take, too: of a model of that name, which there is not.
    {"include-path": ["/v1/models/compare", "/v1/models/import"], "checks": {"allow_header_conformance": _OFF}},
    # tus says with 412 that its version is missing, before anything else is looked at.
    {"include-path-regex": "^/v1/uploads", "checks": {"missing_required_header": {"expected-statuses": [400, 412, 422]}}},
    # Thousands of boundaries, against seconds for all others together; what is random stays.
    {"include-name": "POST /v1/jobs", "phases": {"coverage": _OFF}},
]


def config(key: str | None = None) -> SchemathesisConfig:
    """Everything is checked but what stands above; asked with the key, and now and then without."""
    auth = {"auth": {"openapi": {"key": {"bearer": key}}}} if key else {}
    return SchemathesisConfig.from_dict({"checks": _CHECKS, "operations": _OPERATIONS, **auth})


def examples(number: int) -> settings:
    """So many of each operation, and the same ones in every run."""
    return settings(max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
