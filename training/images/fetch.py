"""One way to download a file: known by its md5, bounded in size and time, and whole or not there."""

from __future__ import annotations

import hashlib
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from nb201env.files import appearing

_CHUNK = 1 << 16


class DamagedData(ValueError):
    """A data file that is not what it should be; the message says which and what to do."""


class Patience(NamedTuple):
    """How long a download may take.

    Attributes:
        stall: Seconds that a server may say nothing.
        start: Seconds that any download may take, however small it is.
        rate: Bytes per second; what it may take longer than that is its size by this rate.
    """

    stall: float = 30
    start: float = 60
    rate: float = 20_000


PATIENCE = Patience()


def fetch(address: str, path: Path, md5: str, most: int, patience: Patience = PATIENCE) -> None:
    """Download a file, which appears in one step when it is whole and the right one.

    What comes is written to disk as it comes, and no more of it than there should be.

    Args:
        address: Its https address.
        path: Where to put it; its folder must exist.
        md5: The file's, as published.
        most: How many bytes it has at most.
        patience: How long it may take.

    Raises:
        OSError: If the address does not answer, does not answer as a server should, sends too much, or is
            too slow; or if the file cannot be written.
        DamagedData: If something else came.
    """
    with appearing(path) as new, open(new, "xb") as file:
        with _answers(address, path.parent):
            found = _receive(address, file, most, _Clock(patience, most))
        if found != md5:
            raise DamagedData(f"{address}: md5 {found} instead of {md5}; nothing was written, try again")


@contextmanager
def _answers(address: str, folder: Path) -> Iterator[None]:
    """Make one kind of error of the many that a misbehaving server can cause."""
    try:
        yield
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        why = "".join(c if c.isprintable() else " " for c in str(error) or type(error).__name__)[:200]
        raise OSError(
            f"{address} cannot be reached or broke off ({why}); try again, or put its file into "
            f"{folder} by hand"
        ) from None


def _receive(address: str, file: IO[bytes], most: int, clock: _Clock) -> str:
    """Write what an address serves into a file; its md5."""
    found, count = hashlib.md5(usedforsecurity=False), 0
    with _opener(address, clock).open(address, timeout=clock()) as response:
        announced = response.length
        if announced is not None and announced > most:
            raise OSError(f"it announces {announced:,} bytes, more than the {most:,} of the file")
        while chunk := response.read(_CHUNK):
            count += len(chunk)
            if count > most:
                raise OSError(f"it sends more than the {most:,} bytes of the file")
            found.update(chunk)
            file.write(chunk)
        if announced is not None and count < announced:
            raise OSError(f"the connection ended after {count:,} of {announced:,} bytes")
    return found.hexdigest()


class _Clock:
    """Says how long the next bytes may take, and raises TimeoutError when the whole has taken too long."""

    def __init__(self, patience: Patience, size: int) -> None:
        self._stall, self._whole = patience.stall, patience.start + size / patience.rate
        self._end = time.monotonic() + self._whole

    def __call__(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took longer than {self._whole:,.0f} s")
        return min(left, self._stall)


# -- urllib, held to the clock and to the web -------------------------------------------------


def _opener(address: str, clock: _Clock) -> urllib.request.OpenerDirector:
    """What opens http and https, and nothing else that urllib could open: no files, no FTP, no data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(clock),
        _Https(clock),
        _Redirect(urlsplit(address).scheme),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows to https, or to what was asked for first."""

    def __init__(self, scheme: str) -> None:
        self._allowed = {"https", scheme}

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        fp.close()  # what comes with a redirection may have no end, and would be read
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in self._allowed:
            raise OSError(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._make = _connection(HTTPConnection, clock)

    def http_open(self, req: Any) -> Any:
        return self.do_open(self._make, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._make = _connection(HTTPSConnection, clock)

    def https_open(self, req: Any) -> Any:
        return self.do_open(self._make, req)


def _connection(kind: type[HTTPConnection], clock: _Clock) -> Callable[..., HTTPConnection]:
    """Makes connections whose answers are read by the clock, heads and redirections included."""

    def make(host: str, **settings: Any) -> HTTPConnection:
        made = kind(host, **settings)
        made.response_class = partial(_Response, clock)  # type: ignore[assignment]
        return made

    return make


class _Response(HTTPResponse):
    def __init__(self, clock: _Clock, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, clock))


class _Timed(io.RawIOBase):
    """What a socket receives; its own limit is for each receipt alone, so it is set anew before each."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._sock, self._clock, self._raw = sock, clock, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._clock())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
