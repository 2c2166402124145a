"""Test that single operations and chains of operations conform to the OpenAPI document."""

from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from hypothesis import given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition

from dlkd_client.client import Client
from tests.e2e.conftest import run_service
from tests.support.schemathesis_config import build_config, make_hypothesis_settings


def load_schema(client: Client, key: str) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{client.url}/openapi.json", config=build_config(key))


@pytest.mark.timeout(900)
def test_operations_and_chains_conform_to_schema(tmp_path: Path) -> None:
    with run_service(
        tmp_path / "data", DLKD_RATE_PER_MINUTE="0", DLKD_RATE_UNKNOWN_PER_MINUTE="0"
    ) as client:
        schema = load_schema(client, (tmp_path / "data" / "api_key").read_text().strip())
        status_classes = Counter[int]()  # responses by the first digit of the status
        for operation in schema.get_all_operations():

            @make_hypothesis_settings(40)
            @given(operation.ok().as_strategy())
            def call(case: schemathesis.Case) -> None:
                status_classes[case.call_and_validate().status_code // 100] += 1

            call()
        assert min(status_classes[2], status_classes[4]) > 100, status_classes
        assert sum(run_chain(schema, number) for number in range(6)) > 1


def run_chain(schema: schemathesis.BaseSchema, number: int) -> bool:
    """Run six chains of operations and return whether hypothesis completed them.

    Hypothesis aborts if the same choices lead to different results. This can happen, because
    earlier chains change the state of the service.
    """
    machine = seed(number)(schema.as_state_machine())
    try:
        machine.run(settings=settings(make_hypothesis_settings(6), derandomize=False))
    except FlakyStrategyDefinition:
        return False
    return True
