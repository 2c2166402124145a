"""Test that a notebook shows one progress bar, updated in place, while it waits for a job."""

import os
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from rich.text import Text

from tests.e2e.conftest import run_service

_SYNC_SETUP = """
from dlkd_client.client import Client
client = Client("{url}", api_key="{key}")
dataset = client.wait_until_ready(client.upload_dataset("{images}"))
job = client.submit({{
    "dataset": {{"id": dataset.id}},
    "student": {{"architecture": "resnet8"}},
    "training": {{"epochs": 3}},
}})
"""
_WAIT = "job = job.wait()"
_ASYNC_SETUP = """
from dlkd_client.client import AsyncClient
async with AsyncClient("{url}", api_key="{key}") as async_client:
    same_job = await (await async_client.job(job.id)).wait()
"""


class RecordingNotebookClient(NotebookClient):
    """Notebook client that counts how often the kernel updates an output."""

    update_count = 0

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        self.update_count += msg["msg_type"] == "update_display_data"
        return super().process_message(msg, cell, cell_index)


def test_waiting_updates_one_progress_bar_in_place(stripes: Path, tmp_path: Path) -> None:
    with run_service(tmp_path / "data") as client:
        key = (tmp_path / "data" / "api_key").read_text().strip()
        values = {"images": stripes, "url": client.url, "key": key}
        sources = [text.format(**values) for text in (_SYNC_SETUP, _WAIT, _ASYNC_SETUP)]
        cells = [new_code_cell(source) for source in sources]
        notebook = RecordingNotebookClient(
            new_notebook(cells=cells),
            timeout=240,
            resources={"metadata": {"path": os.fspath(tmp_path)}},
        )
        notebook.execute()
        (job,) = client.jobs()
    assert cells[0].outputs == []
    assert notebook.update_count > 3
    for cell in cells[1:]:
        (bar,) = cell.outputs  # the progress bar is the only output, without warnings
        assert bar.output_type == "display_data"
        assert "100% succeeded" in Text.from_ansi(bar.data["text/plain"]).plain
        assert "100%" in bar.data["text/html"]
    assert job.status == "succeeded"
