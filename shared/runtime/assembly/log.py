"""The hot log, which is there from the first call on; the joined log, and what reads, copies and removes both."""

from typing import TYPE_CHECKING

from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings

if TYPE_CHECKING:
    from shared.runtime.assembly.process import Common
    from shared.runtime.loop_services import LoopServices
    from shared.services.log.downloading import Downloads
    from shared.services.log.erasure import Erasure
    from shared.services.log.latest import LatestEvents
    from shared.services.log.logs import Logs
    from shared.services.log.mirroring import Mirroring
    from shared.services.log.reasons import Reasons
    from shared.services.log.receipts import Receipts
    from shared.services.log.retention import Retention
    from shared.storage.cold_log import FileColdLog


def build_event_log(common: "Common", place: str) -> RowEventLog:
    """Give the hot log of one life of a loop."""
    settings = common.settings
    return RowEventLog(
        common.storage,
        settings=LogSettings(
            loop=place,
            shards=settings.log_shards,
            append_deadline=settings.append_deadline,
            asks_after=settings.asks_after,
            grace=settings.grace,
        ),
        clock=common.clock,
        settled=settings.lookback,
        budget=common.shared.logs,
    )


def build_joined_log(loop: "LoopServices") -> "FileColdLog":
    """Give the joined log."""
    from shared.storage.cold_log import FileColdLog

    return FileColdLog(loop.storage, loop=loop.place)


def build_logs(loop: "LoopServices") -> "Logs":
    """Give what tells the log's extent and deletes it."""
    from shared.services.log.logs import Logs

    settings = loop.settings
    return Logs(loop.log, loop.joined, loop.store, clock=loop.clock, lookback=settings.lookback, settled_for=settings.settled_for)


def build_receipts(loop: "LoopServices") -> "Receipts":
    """Give what tells what became of an event."""
    from shared.services.log.receipts import Receipts
    from shared.services.training.windows import Limits

    limits = Limits(grace=loop.settings.grace, lookback=loop.settings.lookback)
    return Receipts(loop.log, loop.joined, loop.store, loop.configuration, clock=loop.clock, limits=limits)


def build_latest_events(loop: "LoopServices") -> "LatestEvents":
    """Give what lists the latest events."""
    from shared.services.log.latest import LatestEvents

    return LatestEvents(loop.log, loop.joined, loop.store, loop.configuration, clock=loop.clock)


def build_downloads(loop: "LoopServices") -> "Downloads":
    """Give what hands out the log."""
    from shared.services.log.downloading import Downloads
    from shared.services.log.exporting import Exporter

    return Downloads(Exporter(loop.joined))


def build_reasons(loop: "LoopServices") -> "Reasons":
    """Give what explains decisions of the log."""
    from shared.services.log.reasons import Reasons

    return Reasons(loop.store)


def build_retention(loop: "LoopServices") -> "Retention":
    """Give what removes what is no longer needed."""
    from shared.services.log.retention import Retention, Terms

    terms = Terms(loop.settings.models_kept, settled_for=loop.settings.settled_for)
    return Retention(loop.log, loop.joined, loop.store, loop.configuration, clock=loop.clock, terms=terms)


def build_mirroring(loop: "LoopServices") -> "Mirroring":
    """Give what copies the joined log to its owner's container."""
    from shared.services.log.mirroring import Mirroring
    from shared.storage.mirror import ContainerMirror

    copy = ContainerMirror(loop.storage, loop=loop.place)
    return Mirroring(loop.joined, loop.store, copy, loop.configuration, clock=loop.clock)


def check_mirror(common: "Common", uri: str) -> None:
    """Refuse a container that the log cannot be copied to; raises `InvalidRequestError`."""
    from shared.storage import mirror

    mirror.check_mirror(uri, loopback=common.storage.is_emulator)


def build_erasure(common: "Common", place: str) -> "Erasure":
    """Give what removes all that one life of a loop left behind."""
    from shared.services.log.erasure import Erasure
    from shared.storage.loop_files import StoredLoopFiles

    return Erasure(build_event_log(common, place), StoredLoopFiles(common.storage, loop=place))
