"""Where the joined log is copied to: the address of a container, and what of it may be accepted.

The address is the caller's, and the service goes there: only hosts of Azure Storage are, so that nobody makes it call others, such as
the addresses of its own network. An emulator on the same machine is one more where the service's own storage is one.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, urlsplit

from shared.domain.errors import InvalidSasUriError

MAX_LENGTH = 2_048
_HOST = re.compile(r"[a-z0-9]{3,24}\.(blob\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)|z\d{1,3}\.blob\.storage\.azure\.net)")
_CONTAINER = r"(\$root|[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,62})"
_PATH = re.compile(rf"/{_CONTAINER}/?")
_EMULATED_PATH = re.compile(rf"/[a-z0-9]{{3,24}}/{_CONTAINER}/?")


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """A container and the right to write to it; its text never holds the signature."""

    uri: str = field(repr=False)
    place: str

    def __str__(self) -> str:
        return self.place


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How far a mirror has come: ``chunk`` was copied last, as the file of this ``number`` (from 0) on this ``day``.

    ``target`` is the container, without the signature, and ``begun`` the time that the first part of all names there is made from.
    """

    target: str
    begun: datetime
    chunk: str = ""
    day: str = ""
    number: int = -1

    def after(self, chunk: str, day: str) -> "MirrorState":
        """Give the state once this chunk, of this day, is copied as well."""
        number = self.number + 1 if day == self.day else 0
        return MirrorState(self.target, self.begun, chunk, day, number)

    @property
    def file(self) -> str:
        """The name of the file that was copied last.

        >>> MirrorState("", datetime(2026, 5, 17, 8, 30), day="2026/05/17", number=3).file
        '20260517083000/data/2026/05/17_0000000003.json'
        """
        return f"{self.begun:%Y%m%d%H%M%S}/data/{self.day}_{self.number:010d}.json"


def read_target(uri: str, *, loopback: bool) -> MirrorTarget:
    """Check an address; ``loopback`` accepts an emulator on the same machine. Raises `InvalidSasUriError`.

    >>> str(read_target("https://mine123.blob.core.windows.net/logs?sp=w&sr=c&se=2030-01-01&sig=abc", loopback=False))
    'https://mine123.blob.core.windows.net/logs'
    """
    if len(uri) > MAX_LENGTH:
        raise _refused(f"has more than {MAX_LENGTH} characters")
    try:
        parts = urlsplit(uri.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as cause:
        raise _refused("is not an address") from cause
    if not uri.isascii() or any(character.isspace() for character in uri.strip()):
        raise _refused("is not an address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("may have neither a user nor a fragment")
    if loopback and parts.scheme in {"http", "https"} and _is_loopback(host):
        _check_path(_EMULATED_PATH, parts)
    else:
        if parts.scheme != "https":
            raise _refused("must begin with https://")
        if not _HOST.fullmatch(host) or port not in {None, 443}:
            raise _refused("must be that of a container on a host of Azure Blob storage, such as NAME.blob.core.windows.net")
        _check_path(_PATH, parts)
    _check_signature(parts.query)
    return MirrorTarget(uri.strip(), f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")


def _check_path(pattern: re.Pattern[str], parts: SplitResult) -> None:
    if not pattern.fullmatch(parts.path):
        raise _refused("must name a container and nothing below it")


def _check_signature(query: str) -> None:
    """Demand a signature for a container that may write; what a stored access policy (``si``) allows is for storage to say."""
    given = parse_qs(query, keep_blank_values=True)
    if any(len(values) > 1 for values in given.values()):
        raise _refused("has a parameter twice")
    if not given.get("sig", [""])[0]:
        raise _refused("has no shared access signature (sig)")
    if given.get("sr", ["c"])[0] != "c":
        raise _refused("must be signed for the container (sr=c)")
    if "w" not in given.get("sp", [""])[0] and "si" not in given:
        raise _refused("does not permit writing (sp must hold w)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(what: str) -> InvalidSasUriError:
    return InvalidSasUriError(f"logMirrorSasUri: the address {what}", target="logMirrorSasUri")
