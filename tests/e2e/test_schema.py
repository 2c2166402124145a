"""/openapi.json and the service as a user starts it; deeper than tests/api/test_schema.py: more of each, and in chains."""

from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from hypothesis import given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition

from dlkd_client.client import Client
from tests.e2e.conftest import service
from tests.promises import config, examples


def described(client: Client, key: str) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{client.url}/openapi.json", config=config(key))


@pytest.mark.timeout(900)
def test_each_operation_and_chains_of_them_keep_the_schema_s_promises(tmp_path: Path) -> None:
    with service(tmp_path / "data", DLKD_RATE_PER_MINUTE="0", DLKD_RATE_UNKNOWN_PER_MINUTE="0") as client:
        schema = described(client, (tmp_path / "data" / "api_key").read_text().strip())
        answers = Counter[int]()
        for operation in schema.get_all_operations():

            @examples(40)
            @given(operation.ok().as_strategy())
            def ask(case: schemathesis.Case) -> None:
                answers[case.call_and_validate().status_code // 100] += 1

            ask()
        assert min(answers[2], answers[4]) > 100, answers
        assert sum(chained(schema, number) for number in range(6)) > 1


def chained(schema: schemathesis.BaseSchema, number: int) -> bool:
    """Six chains of operations; whether hypothesis saw them to their end.

    It wants equal choices to have equal answers, but the service remembers what the chains before have done: it ends early then.
    """
    machine = seed(number)(schema.as_state_machine())
    try:
        machine.run(settings=settings(examples(6), derandomize=False))
    except FlakyStrategyDefinition:
        return False
    return True
