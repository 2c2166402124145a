"""Runs a worker process: its slots, the hint consumer and the dispatcher."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event as Flag
from types import FrameType

from registry.db.database import Database
from registry.db.ids import new_id
from registry.db.schema_migrations import check_revision
from registry.jobs.job_queue import CeleryJobQueue
from registry.observability.tracing import trace_service
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.workers.membership import DrainMode
from worker import hardware, metrics
from worker.context import WorkerContext
from worker.dispatcher import Dispatcher
from worker.hint_consumer import HintConsumer
from worker.scratch import create_worker_folder
from worker.slot_threads import Slots
from worker.trainer_pool import TrainerPool

TRAINER_COMMAND = (sys.executable, "-P", "-m", "worker.trainer")
_log = logging.getLogger(__name__)


def run_worker(settings: Settings, trainer_command: Sequence[str] = TRAINER_COMMAND) -> int:
    """Run a worker until SIGTERM or SIGINT, then drain it and return 0.

    Draining saves checkpoints and releases the leases. On a second signal, the worker exits at
    once. Its trainers notice this and exit, too, and the leases expire.
    """
    stop = Flag()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with start_worker(settings, trainer_command, stop):
        stop.wait()
        _log.info("Draining")
    return 0


@contextmanager
def start_worker(
    settings: Settings,
    trainer_command: Sequence[str] = TRAINER_COMMAND,
    stop_event: Flag | None = None,
) -> Iterator[WorkerContext]:
    """Run a worker for the duration of the `with` block and drain it on exit.

    `stop_event` is set when an operator drains the worker through the API.

    Raises:
        DatabaseOutdated: the migrations have not been run.
    """
    with ExitStack() as stack:
        database = Database(settings.database_url)
        stack.callback(database.close)
        stack.enter_context(trace_service(settings, "dlkd-worker", database.engine))
        check_revision(database.engine)
        context = _create_context(settings, trainer_command, database, stack)
        devices = hardware.list_devices(settings)
        slots = Slots(context, devices)
        dispatcher = Dispatcher(
            context,
            hardware.describe_worker(settings, devices),
            partial(_drain_worker, slots, stop_event or Flag()),
        )
        hint_consumer = HintConsumer(settings, slots)
        stack.enter_context(metrics.serve_metrics(context, slots))
        dispatcher.register()
        dispatcher.start()
        stack.callback(dispatcher.stop)
        slots.start()
        stack.callback(slots.drain)
        hint_consumer.start()
        stack.callback(hint_consumer.stop)
        _log.info("Worker %s is ready: %s", context.worker_id, hardware.count_slots(settings))
        yield context


def _drain_worker(slots: Slots, stop_event: Flag, mode: DrainMode) -> None:
    """Stop the worker, either at once or when it is idle. A draining worker claims no new jobs."""
    if not stop_event.is_set() and (mode == DrainMode.NOW or not slots.count_busy().total()):
        _log.info("Drain requested: %s", mode)
        stop_event.set()


def _create_context(
    settings: Settings, trainer_command: Sequence[str], database: Database, stack: ExitStack
) -> WorkerContext:
    worker_id = new_id("worker")
    scratch = stack.enter_context(create_worker_folder(settings.data / "work", worker_id))
    trainer_pool = TrainerPool(trainer_command, threads=hardware.trainer_threads(settings))
    stack.callback(trainer_pool.close)
    trainer_pool.refill()
    return WorkerContext(
        worker_id=worker_id,
        settings=settings,
        database=database,
        store=Store(settings.store_url),
        queue=CeleryJobQueue(settings),
        trainer_pool=trainer_pool,
        scratch=scratch,
        gpu_count=len(hardware.list_gpus()),
    )
