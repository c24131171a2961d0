"""Two hosts on one machine, for tests of Ray: two network namespaces and a cable that can be cut."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
QUICK = {
    # A host that does not answer for some seconds is lost; by default it takes a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
ASKING = {
    # A host that says nothing is asked every two seconds whether it is there, and given five to answer.
    "RAY_grpc_client_keepalive_time_ms": "2000",
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
}

_JOBS = ("ray::train", "ray::_run_apart")


def why_not() -> str:
    """Why this machine cannot play two hosts; empty if it can."""
    if shutil.which("ip") is None:
        return "needs the command ip (iproute2)"
    name = f"nb201-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        return "needs the right to make network namespaces (root, CAP_SYS_ADMIN)"
    cable = ["ip", "-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two"]
    made = subprocess.run(cable, capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", name], check=True)
    return "" if made else "needs the right to make network interfaces (CAP_NET_ADMIN)"


class TwoHosts:
    """A Ray cluster of two hosts with one core each, one of which can be cut off.

    Commands run on the first, which is the cluster's head.

    Args:
        settings: Further variables of the environment of all commands on both.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._names = [f"nb201-{os.getpid()}-{place}" for place in "ab"]
        self._folder = Path(tempfile.mkdtemp(prefix="nb", dir="/tmp"))  # sockets have short names
        # Whoever joins must know the token, as with every cluster that newer versions of Ray start.
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._settings = {**QUICK, **token, **settings}
        self.address = "10.201.77.1:6399"

    def __enter__(self) -> TwoHosts:
        try:
            self._wire()
            common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
            head = ["--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={self._folder}/ray"]
            for place, special in ((0, head), (1, [f"--address={self.address}"])):
                own = [*RAY, "start", f"--node-ip-address=10.201.77.{place + 1}", *special, *common]
                self._on(place, own).communicate(timeout=120)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place, name in enumerate(self._names):
            while pids := self.pids(place):
                for pid in pids:
                    _kill(pid)
                time.sleep(0.1)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wire(self) -> None:
        for name in self._names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        first, second = self._names
        _ip("-n", first, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second)
        for place, name in enumerate(self._names):
            _ip("-n", name, "addr", "add", f"10.201.77.{place + 1}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command on the first host."""
        return self._on(0, command)

    def cut(self) -> None:
        """Cut the cable: the second host works on, and nobody hears of it, not even that it is gone."""
        _ip("-n", self._names[1], "link", "set", "cable", "down")

    def kill(self) -> None:
        """Kill all processes of the second host: its connections are closed, so the first one hears of it."""
        for pid in self.pids(1):
            _kill(pid)
        time.sleep(2)
        self.cut()

    def works(self, place: int) -> bool:
        """Whether a host does a job right now: Ray names a worker by what it does."""
        return any(_command_of(pid).startswith(_JOBS) for pid in self.pids(place))

    def pids(self, place: int) -> list[int]:
        """All processes of a host."""
        found = subprocess.run(["ip", "netns", "pids", self._names[place]], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def _on(self, place: int, command: Sequence[str]) -> subprocess.Popen[str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        with open(self._folder / "log", "a") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self._names[place], *command], env=ours | self._settings,
                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    @property
    def log(self) -> str:
        """What the commands said on standard error."""
        return (self._folder / "log").read_text()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
