"""Transactions of an attempt, with patience for a database that is away for a moment."""

import logging
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from worker.kit import Kit
from worker.pulse import Pulse

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
T = TypeVar("T")


def persist(kit: Kit, pulse: Pulse, write: Callable[[Session], T]) -> T:
    """One transaction; tried again while the database does not answer and the lease still lasts.

    A commit whose answer was lost is found out by the fence: the second try gets `Fenced`.
    """
    while True:
        try:
            with kit.database.write() as session:
                return write(session)
        except OperationalError as error:
            if pulse.lost:
                raise
            _log.warning("the database does not answer: %s", error.orig)
            sleep(_PAUSE_SECONDS)
