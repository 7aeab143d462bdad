"""The addresses that the service listens on: those that were asked for, or those that systemd holds, and no others."""

import errno
import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from local.processes import LocalError

LOOPBACK = "127.0.0.1"
BACKLOG = 2048
FIRST_HANDED = 3
"""The number of the first descriptor that systemd hands over; the others follow it."""


class Place(NamedTuple):
    """A socket's address: an IPv4 or IPv6 address as text, and a port; where HTTPS is spoken, the certificate of the authority to trust."""

    host: str
    port: int
    trust: Path | None = None

    @property
    def url(self) -> str:
        """The endpoint of the service there.

        >>> Place("::1", 7071).url
        'http://[::1]:7071'
        """
        scheme = "http" if self.trust is None else "https"
        return f"{scheme}://[{self.host}]:{self.port}" if ":" in self.host else f"{scheme}://{self.host}:{self.port}"

    def connection(self, *, timeout: float) -> http.client.HTTPConnection:
        """Make a connection, which is opened by the first call and is for the caller to close."""
        if self.trust is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=timeout, context=ssl.create_default_context(cafile=str(self.trust))
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can come here."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def from_here(self) -> "Place":
        """Where this machine itself reaches it: an address that stands for all of them is none to connect to."""
        address = ipaddress.ip_address(self.host)
        return self._replace(host={4: LOOPBACK, 6: "::1"}[address.version]) if address.is_unspecified else self


def checked_host(text: str) -> str:
    """Read an IPv4 or IPv6 address; raises `LocalError` for anything else, names included: they may stand for several.

    >>> checked_host("[::1]")
    '::1'
    """
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise LocalError(
            f"--host {text}: this is not an address. Give an IPv4 or IPv6 address of this machine, such as 127.0.0.1 or ::1,"
            " or 0.0.0.0 (:: for IPv6) for all of them."
        ) from None


@contextmanager
def listening(hosts: Sequence[str], port: int) -> Iterator[list[socket.socket]]:
    """Listen on a port of each of these addresses, and on no others; port 0 takes any free one, the same for all.

    Raises `LocalError` when one of them cannot be had.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for host in hosts:
            sockets.append(stack.enter_context(_listener(host, port)))
            port = place_of(sockets[0]).port
        yield sockets


@contextmanager
def handed_over(environment: Mapping[str, str]) -> Iterator[list[socket.socket]]:
    """Take the sockets on which systemd listens for this process; none when it was not started so.

    Raises `LocalError` for one that is not a listening socket of IPv4 or IPv6.
    """
    count = int(environment.get("LISTEN_FDS") or 0) if environment.get("LISTEN_PID") == str(os.getpid()) else 0
    with ExitStack() as stack:
        yield [stack.enter_context(_handed(number)) for number in range(FIRST_HANDED, FIRST_HANDED + count)]


def place_of(listener: socket.socket, *, trust: Path | None = None) -> Place:
    """Say where a socket listens, and whom to trust there."""
    host, port = listener.getsockname()[:2]
    return Place(host, port, trust)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = Place(host, port)
    listener = None
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # :: is not to mean 0.0.0.0 as well
        # by getaddrinfo, since the zone of a link-local address is a number there
        listener.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4])
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise LocalError(_refusal(place, error)) from error
    return listener


def _refusal(place: Place, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"PORT {place.port} of {place.host} is not for this user: ports below 1024 need a privilege. Use a higher one."
    if error.errno == errno.EADDRINUSE:
        return f"PORT {place.port} of {place.host} is in use by another program. Stop it, or choose another: PORT=8080 make run"
    return f"--host {place.host}: it cannot be listened on: {error.strerror or error}."


def _handed(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        handed = socket.socket(fileno=number)
    except OSError as error:
        raise LocalError(f"LISTEN_FDS names descriptor {number}, which is no socket: {error.strerror}.") from error
    is_ours = handed.family in (socket.AF_INET, socket.AF_INET6) and handed.type == socket.SOCK_STREAM
    if not is_ours or not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        handed.detach()
        raise LocalError(f"LISTEN_FDS names descriptor {number}, which is not a listening TCP socket. ListenStream= is to be ADDRESS:PORT.")
    return handed
