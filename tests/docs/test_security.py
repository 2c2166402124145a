"""docs/security.md: its snippet checks what the service signs."""

import re
from pathlib import Path
from time import time
from typing import Any

from registry.webhooks import signature

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text()
(SNIPPET,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_snippet_knows_the_service_s_signature() -> None:
    page: dict[str, Any] = {}
    exec(SNIPPET, page)  # noqa: S102 - the documentation's own words
    secret, body, at = "whsec_" + "c2VjcmV0" * 4, b'{"type":"job.succeeded"}', int(time())
    headers = {"webhook-id": "delivery_1", "webhook-timestamp": str(at)}
    headers["webhook-signature"] = f"v1,older {signature(secret, 'delivery_1', at, body)}"
    assert page["verified"](secret, headers, body)
    assert not page["verified"](secret, headers, body + b" ")
    assert not page["verified"]("whsec_" + "b3RoZXJz" * 4, headers, body)
    old = {**headers, "webhook-timestamp": str(at - 600)}
    old["webhook-signature"] = signature(secret, "delivery_1", at - 600, body)
    assert not page["verified"](secret, old, body)
