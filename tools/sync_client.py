"""`make sync`: writes dlkd_client/_sync, the client without async, from dlkd_client/_async."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

CLIENT = Path(__file__).resolve().parent.parent / "dlkd_client"
_OF_HTTPX = {"aread": "read", "aclose": "close", "aiter_raw": "iter_raw", "aiter_sse": "iter_sse", "aconnect_sse": "connect_sse"}
_PACKAGE = '"""The client without async, made of `dlkd_client/_async` by `make sync`: change nothing here."""\n'


def write(target: Path) -> None:
    """Writes the package into a folder, in the project's format."""
    sources = sorted((CLIENT / "_async").glob("*.py"))
    names = {name for source in sources for name in re.findall(r"\b(?:Async|async_|_async)\w*", source.read_text())}
    words = {name: re.sub(r"^(Async|async_)", "", name) for name in names} | {"_async": "_sync"} | _OF_HTTPX
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(CLIENT / "_async", Path(folder) / "_async", ignore=shutil.ignore_patterns("__pycache__"))
        rule = unasync.Rule(f"{folder}/_async", str(target), additional_replacements=words)
        unasync.unasync_files([str(path) for path in copy.glob("*.py")], [rule])
    (target / "__init__.py").write_text(_PACKAGE)
    ruff = Path(sys.executable).with_name("ruff")
    for step in (["check", "--fix-only", "--select", "I"], ["format"]):
        command = [ruff, *step, "--quiet", "--config", "pyproject.toml", target.absolute()]
        subprocess.run(command, cwd=CLIENT.parent, check=True)  # noqa: S603 - our own tool


if __name__ == "__main__":
    write(CLIENT / "_sync")
