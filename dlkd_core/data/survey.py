"""What names and headers say of a set of images, before one of them is decoded."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dlkd_core.data.image import image_size
from dlkd_core.data.layout import UNLABELLED, Place, place
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import Member
from dlkd_core.errors import ImageUnreadable, LayoutInvalid

Size = tuple[int, int]


@dataclass
class Survey:
    """Where each image belongs and how large it is, what is broken, and how many files lie beside."""

    places: dict[PurePosixPath, Place] = field(default_factory=dict)
    found: dict[PurePosixPath, Size] = field(default_factory=dict)
    broken: dict[PurePosixPath, str] = field(default_factory=dict)
    beside: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def sizes(self) -> Counter[Size]:
        """How many images there are of each size (H, W)."""
        return Counter(self.found.values())

    def look(self, name: PurePosixPath, read: Callable[[], bytes], limits: Limits) -> None:
        """Takes in a file, which is read only where an image can be.

        Raises:
            LayoutInvalid: a path that was there before.
        """
        where = place(name) if name.parts else None
        if where is None:
            self.beside += 1
            return
        if name in self.places:
            raise LayoutInvalid(f"{said(name)} occurs twice in the archive.", hint="Give every image a path of its own.")
        self.places[name] = where
        try:
            self.found[name] = image_size(read(), said(name), limits)
        except ImageUnreadable as error:
            self.broken[name] = error.message

    def leave_strays(self) -> None:
        """Images right under a split that has class folders belong to no class, and are left out as other files are."""
        labelled = {where.split for where in self.places.values() if where.label is not None}
        for name in [name for name, where in self.places.items() if where.label is None and where.split in labelled]:
            del self.places[name]
            self.found.pop(name, None)
            self.broken.pop(name, None)
            self.beside += 1


def surveyed(stream: Iterator[Member], limits: Limits) -> Survey:
    """The survey of a whole stream."""
    survey = Survey()
    for name, content in stream:
        survey.look(name, lambda content=content: content, limits)  # type: ignore[misc]  # a default of a lambda has no type
    return survey


def said(name: PurePosixPath) -> str:
    """The name as a person knows it."""
    return str(name).replace(f"{UNLABELLED}/", "")
