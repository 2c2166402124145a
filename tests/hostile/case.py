"""A hostile or merely odd upload, and what its check must say about it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

READY = "ready"


def later(make: Callable[..., bytes], *arguments: object) -> Callable[[Path], object]:
    """Return a function that writes what `make` returns, for contents that take long to make."""
    return lambda path: path.write_bytes(make(*arguments))


@dataclass(frozen=True)
class Case:
    """One file and the outcomes of its check that are correct.

    Attributes:
        kind: Group of cases, such as "checkpoints" or "images".
        name: Unique name within the kind.
        filename: Name of the upload. Its extension is what the check sees.
        content: The file's bytes, or a function that writes them to a path.
        outcomes: Correct outcomes: "ready" or codes of errors.
        mentions: Text that the error's message, or one of the notices, must contain.
        check: Which check receives the file.
        is_slow: Whether the case takes more than about a second.
    """

    kind: str
    name: str
    filename: str
    content: bytes | Callable[[Path], object]
    outcomes: tuple[str, ...]
    mentions: str = ""
    check: Literal["check_teacher", "check_dataset"] = "check_dataset"
    is_slow: bool = False

    @property
    def title(self) -> str:
        """Unique name of the case in the whole corpus."""
        return f"{self.kind}/{self.name}"

    def write(self, folder: Path) -> Path:
        """Write the file into a folder and return its path."""
        path = folder / self.filename
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path
