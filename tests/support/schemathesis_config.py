"""Configuration of schemathesis, without the checks that do not apply to this service."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
_DISABLED = {"enabled": False}
_CHECKS = {
    "positive_data_acceptance": _DISABLED,  # schemas cannot say which ids and files are valid
    "negative_data_rejection": _DISABLED,  # the service ignores unknown parameters
}
_OPERATIONS = [
    # These paths also match /v1/models/{model}. A method of that path returns 404 here, not 405.
    {
        "include-path": ["/v1/models/compare", "/v1/models/import"],
        "checks": {"allow_header_conformance": _DISABLED},
    },
    # A request without a tus version is rejected with 412 before anything else is checked.
    {
        "include-path-regex": "^/v1/uploads",
        "checks": {"missing_required_header": {"expected-statuses": [400, 412, 422]}},
    },
    # The thousands of boundary cases for this operation take too long. Only random cases are run.
    {"include-name": "POST /v1/jobs", "phases": {"coverage": _DISABLED}},
]


def build_config(key: str | None = None) -> SchemathesisConfig:
    """Return the configuration. If an API key is given, most requests are authenticated."""
    auth = {"auth": {"openapi": {"key": {"bearer": key}}}} if key else {}
    return SchemathesisConfig.from_dict({"checks": _CHECKS, "operations": _OPERATIONS, **auth})


def make_hypothesis_settings(number: int) -> settings:
    """Return hypothesis settings that try `number` reproducible examples per operation."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
