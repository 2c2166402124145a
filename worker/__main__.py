"""`python -m worker`: a worker of the settings' database, queue and store."""

import logging
import sys

from pydantic import ValidationError

from registry.errors import DatabaseBehind
from registry.logbook import open_log
from registry.settings import Settings, words
from registry.tracing import TracingMissing
from worker.main import run
from worker.metrics import PortTaken

_log = logging.getLogger(__name__)


def main() -> int:
    """Runs a worker until TERM or INT; 1 where the settings are wrong or the database is not ready for it."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(words(error) + "\n")
        return 1
    open_log(settings)
    try:
        return run(settings)
    except DatabaseBehind as error:
        _log.error("%s %s", error.message, error.hint)
    except (TracingMissing, PortTaken) as error:
        _log.error("%s", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
