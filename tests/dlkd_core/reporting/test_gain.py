"""Tests for the sentence that states the gain, and for the warnings on the model card."""

from typing import Any

import pytest

from dlkd_core.reporting.gain import GainVerdict, describe_gain, format_gain, judge_gain
from dlkd_core.reporting.model_card import render_model_card

COST = {"parameters": 10, "macs": 5, "latency_ms": 1.0, "throughput": 9.0}


def make_baseline(gain: float, interval: float = 0.008) -> dict[str, Any]:
    return {
        "top1": 0.672,
        "images": 10_000,
        "gain": gain,
        "gain_interval": interval,
        "steps": 10,
        "seconds": 2.0,
    }


@pytest.mark.parametrize(
    ("gain", "verdict", "text", "explanation"),
    [
        (0.1234, GainVerdict.BETTER, "+12.3 ± 0.8", None),
        (-0.02, GainVerdict.WORSE, "\u22122.0 ± 0.8", "made this student worse"),
        (0.003, GainVerdict.UNDECIDED, "+0.3 ± 0.8", "can be due to chance"),
        (-0.008, GainVerdict.UNDECIDED, "\u22120.8 ± 0.8", "can be due to chance"),
    ],
)
def test_a_gain_is_stated_with_its_verdict(
    gain: float, verdict: GainVerdict, text: str, explanation: str | None
) -> None:
    baseline = make_baseline(gain)
    assert judge_gain(baseline) == verdict
    assert format_gain(baseline) == text
    sentence, _, rest = describe_gain(baseline).partition("images).")
    assert sentence == (
        f"{text} points over the same network trained on labels alone (67.2% on 10,000 "
    )
    assert explanation in rest if explanation else not rest


def render_card(baseline: dict[str, Any] | None, **fields: Any) -> str:
    student = {"top1": 0.8, "images": 10_000, **COST}
    report = {
        "architecture": "resnet8",
        "parameters": 10,
        "classes": ["a", "b"],
        "image": {"height": 8, "width": 8},
        "metrics": {"teacher": None, "student": student, "baseline": baseline},
        "lineage": {},
        **fields,
    }
    return render_model_card(report, [], "name 1")


def test_the_card_states_the_gain_and_the_warnings() -> None:
    card = render_card(make_baseline(0.128), warnings=["The teacher does not fit."])
    assert "**+12.8 ± 0.8 points over the same network trained on labels alone" in card
    assert "**Warning:** The teacher does not fit." in card
    assert card.index("+12.8") < card.index("## Evaluation")
    assert "| | student |" in card  # the baseline is not a column of the table


def test_cards_of_older_reports_state_neither() -> None:
    card = render_card(None)
    assert "labels alone" not in card
    assert "Warning" not in card
