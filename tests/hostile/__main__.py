"""Entry point of `python -m tests.hostile`, which runs the corpus and prints a table."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # threads of torch would not survive in the child processes

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import asdict

from tests.hostile.corpus import choose_cases
from tests.hostile.runner import Outcome, run_cases


def main() -> int:
    """Run the selected cases and return 1 if an outcome is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("patterns", nargs="*", help="parts of the names of cases (default: all)")
    parser.add_argument("--sample", action="store_true", help="only a sample of fast cases")
    parser.add_argument("--quarter", action="store_true", help="only every fourth case")
    parser.add_argument("--json", action="store_true", help="print one JSON object per case")
    parser.add_argument("--table", action="store_true", help="print the table of docs/limits.md")
    arguments = parser.parse_args()
    outcomes = []
    chosen = choose_cases(arguments.patterns, sample=arguments.sample, quarter=arguments.quarter)
    for outcome in run_cases(chosen):
        outcomes.append(outcome)
        if arguments.json:
            _write(json.dumps(asdict(outcome)))
        elif not arguments.table:
            _write(_describe(outcome))
    if arguments.table:
        _write(_table(outcomes))
    return int(any(outcome.problem for outcome in outcomes))


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _describe(outcome: Outcome) -> str:
    mark = "WRONG" if outcome.problem else "ok"
    return (
        f"{mark:5} {outcome.title}: {outcome.code} ({outcome.seconds:.2f} s,"
        f" {outcome.peak_bytes >> 20} MiB, wrote {outcome.written_bytes >> 10} KiB)"
        f" {outcome.problem}\n        {outcome.text[:300]!r}"
    )


def _table(outcomes: list[Outcome]) -> str:
    by_kind = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.title.partition("/")[0]].append(outcome)
    lines = [
        "| kind | cases | refused | ready | wrong | longest (s) | memory (MiB) | written (MiB) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, members in [*sorted(by_kind.items()), ("all", outcomes)]:
        ready = sum(outcome.code == "ready" for outcome in members)
        wrong = sum(bool(outcome.problem) for outcome in members)
        lines.append(
            f"| {kind} | {len(members)} | {len(members) - ready - wrong} | {ready} | {wrong}"
            f" | {max(outcome.seconds for outcome in members):.1f}"
            f" | {max(outcome.peak_bytes for outcome in members) >> 20}"
            f" | {max(outcome.written_bytes for outcome in members) / 2**20:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
