"""A RabbitMQ node from Debian's package, with a private folder, ports and Erlang cookie."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

# These programs are run directly. The package's wrapper in PATH requires a special user and
# system folders.
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_START_SECONDS = 60.0


class RabbitMQUnavailable(Exception):
    """Error raised if RabbitMQ cannot be started on this machine."""


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class RabbitMQNode:
    """RabbitMQ node that can be stopped and restarted. A stop may lose messages."""

    def __init__(self) -> None:
        server = _PROGRAMS / "rabbitmq-server"
        if not server.exists():
            raise RabbitMQUnavailable(
                "rabbitmq-server is not installed (as root on Debian, `make system` installs it)"
            )
        self._server = server
        self._home = Path(tempfile.mkdtemp(prefix="dlkd-rabbitmq-"))
        self._port, self._distribution_port, self._epmd_port = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        """Start the node and wait until it accepts connections.

        Raises:
            RabbitMQUnavailable: The node exits, or it is not ready after a minute.
        """
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._server)],
                env=self._environment(),
                stdout=log,
                stderr=log,
                cwd=self._home,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_tail = (self._home / "log").read_text(errors="replace")[-2000:]
                raise RabbitMQUnavailable(f"rabbitmq-server does not start: {log_tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the node to simulate a crash."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill the node and Erlang's port mapper, and delete the node's folder."""
        self.stop()
        mapper = ["epmd", "-port", str(self._epmd_port), "-kill"]
        subprocess.run(mapper, env=self._environment(), capture_output=True, check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _is_ready(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection,
        ):
            connection.sendall(b"AMQP\x00\x00\x09\x01")  # AMQP protocol header
            connection.settimeout(5)
            return bool(connection.recv(1))
        return False

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),  # Erlang keeps its cookie in this folder
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            "RABBITMQ_NODENAME": f"dlkd-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "logs"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self._home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
        }
