"""Check that the portal's scripts read only fields that the service sends."""

import re
from pathlib import Path

from dlkd_core.catalog.description import describe_catalog
from tests.api.test_wire_contract import CONTRACT

PORTAL = Path(__file__).resolve().parents[2] / "api" / "portal"
# Metrics and evaluation results are JSON objects without a schema.
UNTYPED = {"knn_top1", "per_class"}
_FIELD = re.compile(r"(?<!\.)\.([a-z]+(?:_[a-z0-9]+)+)\b(?!\.js)")


def test_portal_reads_only_fields_that_the_service_sends() -> None:
    sent = set(re.findall(r"\w+", CONTRACT.read_text())) | UNTYPED
    sent |= set(re.findall(r"\w+", repr(describe_catalog())))
    scripts = [path for path in PORTAL.rglob("*.js") if "vendor" not in path.parts]
    read = {
        f"{path.relative_to(PORTAL)}: {field}"
        for path in scripts
        for field in _FIELD.findall(path.read_text())
    }
    assert len(read) > 50
    assert {entry for entry in read if entry.split(": ")[1] not in sent} == set()
