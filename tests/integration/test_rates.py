"""Processes that share a broker share the limits of their callers."""

import json
import os
import subprocess
import sys
from uuid import uuid4

LIMIT = 60
ASKS = """
import json, sys
from api.rates import Rates
from registry.settings import Settings
rates = Rates(Settings())
print(json.dumps([rates.of_caller(sys.argv[1]).allowed for _ in range(int(sys.argv[2]))]))
"""


def asked(broker: str, who: str) -> list[bool]:
    """What a process of its own answers to one caller's requests, as many as the limit."""
    settings = {"DLKD_BROKER_URL": broker, "DLKD_RATE_PER_MINUTE": str(LIMIT)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
    command = [sys.executable, "-c", ASKS, who, str(LIMIT)]
    answer = subprocess.run(command, env=clean | settings, capture_output=True, text=True, check=True).stdout
    allowed: list[bool] = json.loads(answer)
    return allowed


def test_what_one_process_has_counted_another_does_not_give_again(valkey: str) -> None:
    """The minute slides on meanwhile, so that some requests may be free again; never all of them."""
    busy, idle = uuid4().hex, uuid4().hex
    assert all(asked(valkey, busy))
    again = asked(valkey, busy)
    assert not again[-1]
    assert all(asked(valkey, idle))
