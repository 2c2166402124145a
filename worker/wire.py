"""What a supervisor asks of a trainer process: one line of JSON. Its answers are the core's events, one a line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dlkd_core.frozen import Frozen
from dlkd_core.spec import DistillationSpec
from dlkd_core.told import ToldFile, ToldModel

KEEP_ALIVE = b"{}\n"
STOP = b'{"stop": true}\n'


class Lessons(Frozen):
    """A file of what the teacher answered before, and how many bytes it may have."""

    file: Path
    budget: int


class Surroundings(Frozen):
    """Where and within which limits. The first line on a trainer's standard input; keep-alives and perhaps a stop follow.

    `silence_seconds`: a trainer that hears nothing for so long ends itself, because its supervisor is gone and another
    worker will take the job. `gpu`: the one to use, or those with commas between them, one for each process; empty for none.
    """

    directory: Path
    silence_seconds: float
    memory_bytes: int | None = None
    gpu: str = ""


class Distill(Surroundings):
    """A training job."""

    kind: Literal["distill"] = "distill"
    spec: DistillationSpec
    resume_from: Path | None = None
    lessons: Lessons | None = None


class Check(Surroundings):
    """The check of an upload, with what its sender says about it."""

    kind: Literal["check_teacher", "check_dataset"]
    path: Path
    architecture: str | None = None
    num_classes: int | None = None


class Trial(Surroundings):
    """The trial of a model that was made elsewhere."""

    kind: Literal["check_model"] = "check_model"
    told: ToldModel
    files: list[ToldFile]


Request = Distill | Check | Trial
request_adapter: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
