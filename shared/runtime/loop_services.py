"""What serves one loop: at once what Rank, Reward and Activate use, and everything else when it is first asked for.

How a part is put together is in `shared.runtime.assembly`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.api.rank import ActionReader
from shared.domain.loop import DEFAULT_LOOP, LoopRecord
from shared.runtime.assembly.analysis import (
    build_analyses,
    build_applier,
    build_evaluations,
    build_importances,
    build_log_breakdowns,
    build_optimizer,
    build_schedules,
)
from shared.runtime.assembly.breakdowns import build_breakdown
from shared.runtime.assembly.figures import build_figures
from shared.runtime.assembly.log import (
    build_downloads,
    build_joined_log,
    build_latest_events,
    build_logs,
    build_mirroring,
    build_reasons,
    build_receipts,
    build_retention,
)
from shared.runtime.assembly.loops import build_adviser, build_configurator, build_previewer, build_progress
from shared.runtime.assembly.models import build_comparer, build_handing_out, build_keeper, build_store
from shared.runtime.assembly.serving import Serving, build_uploads, build_verified
from shared.runtime.assembly.training import build_retrainer, build_trainer
from shared.runtime.settings import AppSettings
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from shared.services.serving.verified_uploads import Counts


@dataclass(frozen=True)
class LoopServices(Serving):
    """The use cases of one loop, on real storage."""

    uploads = cached_property(build_uploads)
    verified = cached_property(build_verified)

    store = cached_property(build_store)
    keeper = cached_property(build_keeper)
    comparer = cached_property(build_comparer)
    handing_out = cached_property(build_handing_out)

    trainer = cached_property(build_trainer)
    retrainer = cached_property(build_retrainer)

    joined = cached_property(build_joined_log)
    logs = cached_property(build_logs)
    downloads = cached_property(build_downloads)
    receipts = cached_property(build_receipts)
    reasons = cached_property(build_reasons)
    latest_events = cached_property(build_latest_events)
    retention = cached_property(build_retention)
    mirroring = cached_property(build_mirroring)

    configurator = cached_property(build_configurator)
    previewer = cached_property(build_previewer)
    progress = cached_property(build_progress)
    adviser = cached_property(build_adviser)

    figures = cached_property(build_figures)
    breakdown = cached_property(build_breakdown)

    evaluations = cached_property(build_evaluations)
    importances = cached_property(build_importances)
    log_breakdowns = cached_property(build_log_breakdowns)
    analyses = cached_property(build_analyses)
    applier = cached_property(build_applier)
    optimizer = cached_property(build_optimizer)
    schedules = cached_property(build_schedules)

    @property
    def settings(self) -> AppSettings:
        """The settings of the app."""
        return self.common.settings

    @property
    def storage(self) -> Storage:
        """Where the loop's data are."""
        return self.common.storage

    @property
    def actions(self) -> ActionReader:
        """What reads the actions of a call, and remembers those that it has read."""
        return self.common.actions

    @property
    def record(self) -> LoopRecord:
        """What this process last read of the loop."""
        return self.configuration.record

    @property
    def is_current(self) -> bool:
        """Whether the loop is still there, and in the same life."""
        return self.record.is_there and self.record.place == self.place

    @property
    def key_digests(self) -> Sequence[str]:
        """The digests of the keys that open the loop: for the default one the app's own, until one was regenerated."""
        own = self.settings.key_digests if self.record.name == DEFAULT_LOOP else ()
        return self.record.keys or own

    @property
    def client_digests(self) -> Sequence[str]:
        """The digests of the client keys, which rank, reward and activate only: for the default loop the app's own, until one was made."""
        own = self.settings.client_digests if self.record.name == DEFAULT_LOOP else ()
        return self.record.client_keys or own

    @property
    def uploaded(self) -> "Counts | None":
        """What came of the decisions that clients sent to this process; None while there were none."""
        return self.verified.counts if "verified" in vars(self) else None

    def let_go(self) -> None:
        """Keep nothing at hand of this loop any more, and poll for it no more: it is gone, or nobody asks for it. Any thread may say so."""
        self.models.stop()
        self.log.close()
        for part in ("figures", "retrainer", "trainer", "verified"):
            if part in vars(self):  # if it was ever asked for
                getattr(self, part).close()

    async def close(self) -> None:
        """Stop the polling threads and close the connections; all loops of a process share them."""
        self.common.polling.stop()
        await self.storage.close()
