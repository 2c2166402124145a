"""`python -m worker`: a worker of the settings' database, queue and store."""

import logging
import sys

from registry.errors import DatabaseBehind
from registry.settings import Settings
from worker.main import run


def main() -> int:
    """Runs a worker until TERM or INT; 1 where the database is not ready for it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    try:
        return run(Settings())
    except DatabaseBehind as error:
        logging.getLogger(__name__).error("%s %s", error.message, error.hint)  # noqa: TRY400 - the words say it all
        return 1


if __name__ == "__main__":
    sys.exit(main())
