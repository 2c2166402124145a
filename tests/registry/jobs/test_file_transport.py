"""Tests for the file queue: messages written by several processes, some of them killed."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from kombu import Exchange, Queue

from registry.jobs.job_queue import CeleryJobQueue, make_celery
from registry.settings import Settings

QUEUE = "dlkd.train"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


def receive(settings: Settings) -> list[Any]:
    """Return the job ids of all messages that can be read now."""
    job_ids = []
    with make_celery(settings).connection_for_read() as connection:
        queue = Queue(QUEUE)(connection.default_channel)
        while message := queue.get(no_ack=True):
            job_ids.append(message.payload[1]["job_id"])
    return job_ids


def test_torn_messages_are_skipped(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = CeleryJobQueue(settings)
    queue.send("train", "job_first")
    messages = tmp_path / "queue" / "messages"
    whole = next(messages.glob("*.msg")).read_bytes()
    for name, content in {"1_a": b"", "2_b": whole[: len(whole) // 2], "3_c": b"\xff\xfe"}.items():
        (messages / f"{name}.{QUEUE}.msg").write_bytes(content)
    queue.send("train", "job_second")
    with caplog.at_level(logging.WARNING):
        assert sorted(receive(settings)) == ["job_first", "job_second"]
    assert caplog.text.count("Skipped an unreadable message of the queue dlkd.train") == 3
    assert list(messages.iterdir()) == []


def test_a_message_appears_only_when_it_is_complete(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during = []

    def replace(path: Path, target: Path) -> None:
        during.append((json.loads(path.read_text())["headers"]["task"], target.exists()))

    monkeypatch.setattr(Path, "replace", replace)
    CeleryJobQueue(settings).send("train", "job_first")
    assert during == [("dlkd.wake", False)]
    assert list((tmp_path / "queue" / "messages").glob("*.msg")) == []


@pytest.mark.parametrize(("name", "content"), [("empty", ""), ("half", '[["ha')])
def test_a_torn_binding_is_written_again(
    settings: Settings, tmp_path: Path, name: str, content: str
) -> None:
    celery = make_celery(settings)
    binding = tmp_path / "queue" / "control" / f"{name}.exchange"
    binding.write_text(content)
    with celery.connection_for_read() as connection:
        Queue(name, exchange=Exchange(name), routing_key=name)(connection).declare()
    assert json.loads(binding.read_text()) == [[name, "", name]]
