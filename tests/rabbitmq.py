"""A RabbitMQ node of our own: Debian's package, with a folder, ports and a cookie that it shares with nobody."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # the package's wrapper in PATH insists on a user and on folders of its own
_START_SECONDS = 60.0


class Missing(Exception):
    """RabbitMQ cannot run here, and why."""


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class RabbitMQ:
    """A node that `start` starts and `stop` ends; what was said to it may be forgotten in between."""

    def __init__(self) -> None:
        server = _PROGRAMS / "rabbitmq-server"
        if not server.exists():
            raise Missing("rabbitmq-server is not installed (as root on Debian, `make system` installs it)")
        self._server = server
        self._home = Path(tempfile.mkdtemp(prefix="dlkd-rabbitmq-"))
        self._port, self._distribution, self._mapper = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        """Returns when it answers.

        Raises:
            Missing: it ends, or says nothing for a minute.
        """
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._server)], env=self._environment(), stdout=log, stderr=log, cwd=self._home, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._home / "log").read_text(errors="replace")[-2000:]
                raise Missing(f"rabbitmq-server does not start: {said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends the node at once, as a crash would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Ends it for good, with the port mapper that Erlang has started beside it."""
        self.stop()
        mapper = ["epmd", "-port", str(self._mapper), "-kill"]
        subprocess.run(mapper, env=self._environment(), capture_output=True, check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")  # the protocol's first words
            connection.settimeout(5)
            return bool(connection.recv(1))
        return False

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),  # where Erlang keeps the cookie
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            "RABBITMQ_NODENAME": f"dlkd-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "logs"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self._home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
        }
