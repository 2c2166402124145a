"""Query parameters of routes that accept many parameters.

Unknown parameters are rejected, because a misspelled filter would silently match everything.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from api.schemas.base import CURSOR_DESCRIPTION, LIMIT_DESCRIPTION
from dlkd_core.common import FrozenModel
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queries import JobFilters, parse_label
from registry.models import model_versions

# This repeats JobStatus, because clients rely on the error code `literal_error` for an unknown
# status. An enum type would change that code.
JobStatusFilter = Literal[
    "validating",
    "queued",
    "starting",
    "running",
    "exporting",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "cancelling",
    "pausing",
    "paused",
]
_Timestamp = Annotated[AwareDatetime | None, Field(description="RFC 3339 timestamp.")]
_TEACHER_DESCRIPTION = "Id of the teacher, or of the model that served as the teacher."
_PARTIAL_NAME_DESCRIPTION = "Part of the name, ignoring case."


class _PageQuery(FrozenModel):
    limit: int = Field(50, ge=1, description=LIMIT_DESCRIPTION)
    cursor: str | None = Field(None, description=CURSOR_DESCRIPTION)


class JobQuery(_PageQuery):
    """Filters for listing jobs. Jobs must match all of them."""

    status: list[JobStatusFilter] = Field(
        default_factory=list,
        description="Status of the job. Repeat the parameter to allow several.",
    )
    label: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="Label of the job as `key:value`. Repeat the parameter to require several.",
    )
    owner: str | None = Field(None, description="Owner of the job.")
    method: str | None = Field(None, description="Distillation method.")
    student: str | None = Field(None, description="Architecture of the student.")
    created_after: _Timestamp = None
    created_before: _Timestamp = None
    name: str | None = Field(None, description=_PARTIAL_NAME_DESCRIPTION)
    dataset: str | None = Field(None, description="Id of the dataset.")
    teacher: str | None = Field(None, description=_TEACHER_DESCRIPTION)

    def to_filters(self, visible_owner: str | None) -> JobFilters:
        """Return the filters. If `visible_owner` is set, they match only this owner's jobs.

        Raises:
            LabelInvalid: A label is not of the form `key:value`.
        """
        return JobFilters(
            status=tuple(JobStatus(status) for status in self.status),
            labels=tuple(parse_label(label) for label in self.label),
            owner=self.owner,
            visible_owner=visible_owner,
            method=self.method,
            student=self.student,
            created_after=self.created_after,
            created_before=self.created_before,
            name=self.name,
            dataset=self.dataset,
            teacher=self.teacher,
        )


class ModelQuery(_PageQuery):
    """Filters for listing models. Models must match all of them."""

    name: str | None = Field(None, description="Registered name.")
    search: str | None = Field(None, max_length=200, description=_PARTIAL_NAME_DESCRIPTION)
    architecture: str | None = Field(None, description="Architecture of the model.")
    tag: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="Tag of the model. Repeat the parameter to require several.",
    )
    teacher: str | None = Field(None, description=_TEACHER_DESCRIPTION)
    dataset: str | None = Field(
        None, description="Id of the dataset that the model was trained on."
    )

    def to_filters(self, visible_owner: str | None) -> model_versions.ModelFilters:
        """Return the filters. If `visible_owner` is set, they match only this owner's models."""
        return model_versions.ModelFilters(
            owner=visible_owner,
            name=self.name,
            search=self.search,
            architecture=self.architecture,
            tags=tuple(self.tag),
            teacher=self.teacher,
            dataset=self.dataset,
        )


class AuditQuery(_PageQuery):
    """Filters for the audit log. Entries must match all of them."""

    actor: str | None = Field(None, description="Id of the actor.")
    owner: str | None = Field(None, description="Owner to which the actor belongs.")
    action: str | None = Field(None, description="Action, such as `job.created`.")
    subject: str | None = Field(None, description="Id or name of the resource that was acted on.")
    request_id: str | None = None
    after: _Timestamp = None
    before: _Timestamp = None


class LogQuery(FrozenModel):
    """Selection of the log lines to return."""

    after: str | None = Field(
        None,
        description="`cursor` of the previous response. Omit it to start at the first line.",
    )
    limit: int = Field(
        1000,
        ge=1,
        description="Maximum number of lines. Values above 10000 are treated as 10000.",
    )
    tail: int | None = Field(
        None,
        ge=1,
        description="Return at most this many lines, from the end of the log. Overrides `after` and"
        " `limit`.",
    )
    attempt: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Return only the lines of this attempt."
    )
