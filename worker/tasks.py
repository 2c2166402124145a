"""The task: three lines. What is to be done stands in the rows."""

from typing import Any

from registry.queue import TASK
from worker.slots import Slots


def register(app: Any, slots: Slots) -> None:
    """Lets the Celery application wake these slots."""

    @app.task(name=TASK, ignore_result=True, shared=False)  # type: ignore[untyped-decorator] # Celery publishes no types
    def wake(queue: str, job_id: str) -> None:  # noqa: ARG001 - the best job is taken, not the one named
        """A hint came: idle slots of that queue look at the rows."""
        slots.wake(queue)
