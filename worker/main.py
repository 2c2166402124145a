"""A worker process: ready slots, an ear at the broker, and the dispatcher, until TERM or INT."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event as Flag
from types import FrameType

from registry.db import Database, check_head
from registry.ids import new_id
from registry.queue import CeleryQueue
from registry.settings import Settings
from registry.store import Store
from registry.tracing import traced
from registry.workers import Drain
from worker import inventory, metrics
from worker.app import Ear
from worker.dispatcher import Dispatcher
from worker.kit import Kit
from worker.scratch import own_folder
from worker.slots import Slots
from worker.warm import Warm

TRAINER = (sys.executable, "-P", "-m", "worker.trainer")
_log = logging.getLogger(__name__)


def run(settings: Settings, trainer: Sequence[str] = TRAINER) -> int:
    """Works until a TERM or INT, then saves checkpoints, gives the leases back and returns 0.

    A second signal ends it at once: its trainers notice and end, too, and the leases run out.
    """
    stop = Flag()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with working(settings, trainer, stop):
        stop.wait()
        _log.info("draining")
    return 0


@contextmanager
def working(settings: Settings, trainer: Sequence[str] = TRAINER, stop: Flag | None = None) -> Iterator[Kit]:
    """A worker for the block; leaving it drains. `stop` is set when the API wants it to end.

    Raises `DatabaseBehind` where the migrations have not been run.
    """
    with ExitStack() as stack:
        database = Database(settings.database_url)
        stack.callback(database.close)
        stack.enter_context(traced(settings, "dlkd-worker", database.engine))
        check_head(database.engine)
        kit = _equip(settings, trainer, database, stack)
        devices = inventory.devices(settings)
        slots = Slots(kit, devices)
        dispatcher = Dispatcher(kit, inventory.facts(settings, devices), partial(_drain, slots, stop or Flag()))
        ear = Ear(settings, slots)
        stack.enter_context(metrics.served(kit, slots))
        dispatcher.announce()
        dispatcher.start()
        stack.callback(dispatcher.stop)
        slots.start()
        stack.callback(slots.drain)
        ear.start()
        stack.callback(ear.stop)
        _log.info("worker %s is ready: %s", kit.worker_id, inventory.slots(settings))
        yield kit


def _drain(slots: Slots, stop: Flag, order: Drain) -> None:
    """Ends the worker as the API wishes; nothing new is claimed meanwhile."""
    if not stop.is_set() and (order == "now" or not slots.busy().total()):
        _log.info("told to drain: %s", order)
        stop.set()


def _equip(settings: Settings, trainer: Sequence[str], database: Database, stack: ExitStack) -> Kit:
    worker_id = new_id("worker")
    scratch = stack.enter_context(own_folder(settings.data / "work", worker_id))
    trainers = Warm(trainer, threads=inventory.trainer_threads(settings))
    stack.callback(trainers.close)
    trainers.refill()
    return Kit(
        worker_id=worker_id,
        settings=settings,
        database=database,
        store=Store(settings.store_url),
        queue=CeleryQueue(settings),
        trainers=trainers,
        scratch=scratch,
        gpus=len(inventory.gpus()),
    )
