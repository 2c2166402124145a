"""Entry point of `python -m worker`."""

import logging
import sys

from pydantic import ValidationError

from registry.errors import DatabaseOutdated
from registry.observability.logging_setup import configure_logging
from registry.observability.tracing import TracingUnavailable
from registry.settings import Settings, format_errors
from worker.metrics import PortInUse
from worker.worker_process import run_worker

_log = logging.getLogger(__name__)


def main() -> int:
    """Run a worker until SIGTERM or SIGINT and return the exit status.

    The status is 1 if the worker cannot start, for example because a setting is invalid.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(format_errors(error) + "\n")
        return 1
    configure_logging(settings)
    try:
        return run_worker(settings)
    except DatabaseOutdated as error:
        _log.error("%s %s", error.message, error.hint)
    except (TracingUnavailable, PortInUse) as error:
        _log.error("%s", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
