"""Where the joined log is copied to: the address of a container, and what of it may be accepted.

The address is the caller's, and the service goes there: only hosts of Azure Storage are, so that nobody makes it call others, such as
the addresses of its own network. An emulator on the same machine is one more where the service's own storage is one.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from shared.domain.errors import InvalidSasUriError

MAX_LENGTH = 2_048
LONGEST_REST: Final = timedelta(hours=1)
"""Between two tries at a container that fails."""
_SHORTEST_REST: Final = timedelta(minutes=1)
_MOST_DOUBLED: Final = 10
MAX_ERROR: Final = 1_000
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
    ``address`` is a digest of the whole address that was used last. ``failures`` tries have failed since the last file was written, at
    ``succeeded_at`` (None: none was, or an earlier release wrote it); the last of them was at ``tried_at``, and ``error`` says why.
    """

    target: str
    begun: datetime
    chunk: str = ""
    day: str = ""
    number: int = -1
    address: str = ""
    succeeded_at: datetime | None = None
    tried_at: datetime | None = None
    failures: int = 0
    error: str = ""

    def after(self, chunk: str, day: str) -> "MirrorState":
        """Give the state once this chunk, of this day, is copied as well."""
        number = self.number + 1 if day == self.day else 0
        return replace(self, chunk=chunk, day=day, number=number)

    def worked(self, at: datetime) -> "MirrorState":
        """Give the state once a file was written at this time."""
        return replace(self, succeeded_at=at, tried_at=at, failures=0, error="")

    def failed(self, error: str, at: datetime) -> "MirrorState":
        """Give the state once a try has failed."""
        return replace(self, tried_at=at, failures=self.failures + 1, error=error[:MAX_ERROR])

    def under(self, address: str) -> "MirrorState":
        """Give the state under this address: what another signature was refused for says nothing of it."""
        return self if address == self.address else replace(self, address=address, failures=0, error="")

    @property
    def rests_until(self) -> datetime | None:
        """When the container is to be tried again; None for at once. The first failure costs nothing, each further one doubles the rest.

        >>> failed = MirrorState("", datetime(2026, 5, 17), tried_at=datetime(2026, 5, 17), failures=3)
        >>> failed.rests_until, replace(failed, failures=99).rests_until, replace(failed, failures=1).rests_until
        (datetime.datetime(2026, 5, 17, 0, 2), datetime.datetime(2026, 5, 17, 1, 0), None)
        """
        if self.failures < 2 or self.tried_at is None:
            return None
        return self.tried_at + min(_SHORTEST_REST * (1 << min(self.failures - 2, _MOST_DOUBLED)), LONGEST_REST)

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


def expires_at(uri: str) -> datetime | None:
    """Tell when an address's signature ends; None where it does not say, as when a stored access policy does, or says no time.

    >>> expires_at("https://x.blob.core.windows.net/c?se=2026-05-17T10%3A00Z"), expires_at("https://x.blob.core.windows.net/c?si=mine")
    (datetime.datetime(2026, 5, 17, 10, 0, tzinfo=datetime.timezone.utc), None)
    """
    try:
        told: str = parse_qs(urlsplit(uri.strip()).query)["se"][0]
        end = datetime.fromisoformat(told.strip())
        return end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
    except (ValueError, LookupError, OverflowError):
        return None


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
