"""timm's classifiers, by name, without timm: `timm.json` says what can be known of them.

`python -m dlkd_core.models.timm_index` writes the file anew from the installed timm, and a test holds it to that.
"""

import json
from pathlib import Path
from typing import Literal, NamedTuple

from dlkd_core.catalog.architecture import Architecture, Options, ResizableOptions

TIMM_SOURCE = "https://huggingface.co/docs/timm"
TIMM_FILE = Path(__file__).with_name("timm.json")


class TimmFacts(NamedTuple):
    """One of timm's networks."""

    side: int  # of the images that it was made for, in pixels
    smallest: int  # image side that it runs on
    takes: Literal["any", "given", "one"]  # images of any side, of the side that it is made for, or of one side only
    weights: bool  # timm knows where pretrained ones are
    parameters: int  # without the classifier
    maps: bool  # its blocks give maps


def _read() -> dict[str, TimmFacts]:
    networks: dict[str, tuple[int, int, Literal["any", "given", "one"], bool, int, bool]] = json.loads(TIMM_FILE.read_text())
    return {name: TimmFacts(*facts) for name, facts in networks.items()}


TIMM_NAMES = _read()


def _entry(name: str, facts: TimmFacts) -> Architecture:
    given = facts.takes == "given"
    return Architecture(
        name=f"timm/{name}",
        family="timm",
        target="dlkd_core.models.timm_nets:build",
        options=ResizableOptions if given else Options,
        min_size=facts.smallest,
        max_size=facts.side if facts.takes == "one" else None,
        side=facts.side if given else None,
        source=TIMM_SOURCE,
        weights="dlkd_core.models.timm_nets:pretrained" if facts.weights else None,
    )


TIMM: list[Architecture] = [_entry(name, facts) for name, facts in TIMM_NAMES.items()]
