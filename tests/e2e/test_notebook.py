"""Waiting for a job in a notebook, as its kernel runs it: one bar that moves in place."""

import os
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from rich.text import Text

from tests.e2e.conftest import service

_SYNC = """
from dlkd_client.client import Client
client = Client("{url}", api_key="{key}")
dataset = client.ready(client.upload_dataset("{images}")).id
job = client.submit({{"dataset": {{"id": dataset}}, "student": {{"architecture": "resnet8"}}, "training": {{"epochs": 3}}}})
"""
_WAIT = "job = job.wait()"
_ASYNC = """
from dlkd_client.client import AsyncClient
async with AsyncClient("{url}", api_key="{key}") as other:
    again = await (await other.job(job.id)).wait()
"""


class Watched(NotebookClient):
    """Remembers what the kernel had shown in the notebook, and counts how often it replaced that."""

    replaced = 0

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        self.replaced += msg["msg_type"] == "update_display_data"
        return super().process_message(msg, cell, cell_index)


def test_waiting_moves_one_bar_in_place(stripes: Path, tmp_path: Path) -> None:
    with service(tmp_path / "data") as client:
        facts = {"images": stripes, "url": client.url, "key": (tmp_path / "data" / "api_key").read_text().strip()}
        cells = [new_code_cell(text.format(**facts)) for text in (_SYNC, _WAIT, _ASYNC)]
        run = Watched(new_notebook(cells=cells), timeout=240, resources={"metadata": {"path": os.fspath(tmp_path)}})
        run.execute()
        (job,) = client.jobs()
    assert cells[0].outputs == []
    assert run.replaced > 3
    for cell in cells[1:]:
        (bar,) = cell.outputs  # one, and no warning beside it
        assert bar.output_type == "display_data"
        assert "100% succeeded" in Text.from_ansi(bar.data["text/plain"]).plain
        assert "100%" in bar.data["text/html"]
    assert job.status == "succeeded"
