"""Query parameters of routes that have many. A name that is none of them is an error: a filter with a typo filters nothing."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from api.schemas import JobState
from dlkd_core.frozen import Frozen
from registry import models
from registry.lifecycle import JobStatus
from registry.listing import Filters, label_of

_Time = Annotated[AwareDatetime | None, Field(description="RFC 3339")]


class JobQuery(Frozen):
    """Which jobs to list: those that meet all of the filters."""

    limit: int = Field(50, ge=1, description="At most so many; more than 200 means 200")
    cursor: str | None = Field(None, description="The next_cursor of the page before")
    status: list[JobState] = Field(default_factory=list, description="In one of these states")
    label: list[str] = Field(default_factory=list, max_length=32, description="key:value; all of several")
    owner: str | None = Field(None, description="Of this owner")
    method: str | None = None
    student: str | None = Field(None, description="The student's architecture")
    created_after: _Time = None
    created_before: _Time = None
    name: str | None = Field(None, description="Part of the name, in whatever case")
    dataset: str | None = Field(None, description="On the data set of this id")
    teacher: str | None = Field(None, description="Taught by the uploaded teacher or the model of this id")

    def filters(self, visible: str | None) -> Filters:
        """The same in the registry's words, of the owner `visible` alone (None: of all). `LabelMalformed`: a label is none."""
        return Filters(
            status=tuple(JobStatus(one) for one in self.status),
            labels=tuple(label_of(one) for one in self.label),
            owner=self.owner,
            visible=visible,
            method=self.method,
            student=self.student,
            created_after=self.created_after,
            created_before=self.created_before,
            name=self.name,
            dataset=self.dataset,
            teacher=self.teacher,
        )


class ModelQuery(Frozen):
    """Which models to list: those that meet all of the filters."""

    limit: int = Field(50, ge=1, description="At most so many; more than 200 means 200")
    cursor: str | None = Field(None, description="The next_cursor of the page before")
    name: str | None = Field(None, description="Versions of this name")
    search: str | None = Field(None, max_length=200, description="Part of the name, in whatever case")
    architecture: str | None = None
    tag: list[str] = Field(default_factory=list, max_length=32, description="All of several")
    teacher: str | None = Field(None, description="Taught by the uploaded teacher or the model of this id")
    dataset: str | None = Field(None, description="Trained on the data set of this id")

    def filters(self, visible: str | None) -> models.Filters:
        """The same in the registry's words, among the models of the only owner that the caller sees."""
        tags = tuple(self.tag)
        return models.Filters(
            owner=visible,
            name=self.name,
            search=self.search,
            architecture=self.architecture,
            tags=tags,
            teacher=self.teacher,
            dataset=self.dataset,
        )


class LogQuery(Frozen):
    """Which lines of a log."""

    after: str | None = Field(None, description="The cursor of the answer before")
    limit: int = Field(1000, ge=1, description="At most so many lines; more than 10000 means 10000")
    tail: int | None = Field(None, ge=1, description="The last so many lines; after and limit then say nothing")
    attempt: int | None = Field(None, ge=1, le=2**31 - 1, description="Of this attempt alone")
