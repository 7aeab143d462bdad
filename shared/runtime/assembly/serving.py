"""What an application's calls of one loop need is there from the first call on; batches come later, if at all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

from shared.domain.clock import Clock
from shared.domain.errors import InvalidPolicyConfigurationError
from shared.domain.loop import LoopRecord, LoopSettings
from shared.learning.arguments import parse_arguments
from shared.runtime.assembly.log import build_event_log
from shared.runtime.assembly.process import Common
from shared.services.serving.allowance import Allowance
from shared.services.serving.model_server import ModelServer
from shared.services.serving.multislot import MultiSlotRanker
from shared.services.serving.ranking import Ranker
from shared.services.serving.rewarding import Rewarder
from shared.storage.clocks import LogClock
from shared.storage.event_log import FollowedFeed, RowEventLog
from shared.storage.loop_store import FileUsage
from shared.storage.polling import FileModelFeed, StoredConfiguration

if TYPE_CHECKING:
    from shared.runtime.loop_services import LoopServices
    from shared.services.serving.uploads import Uploads
    from shared.services.serving.verified_uploads import VerifiedUploads


@dataclass(frozen=True)
class Serving:
    """What Rank, Reward and Activate of one loop need; ``place`` is the name that the tables and blobs of this life carry.

    ``clock`` is the one by which the log is written, and ``defaults`` are the settings that hold where the loop has none of its own.
    """

    common: Common
    place: str
    defaults: LoopSettings
    clock: Clock
    configuration: StoredConfiguration
    log: RowEventLog
    models: ModelServer
    allowance: Allowance
    ranker: Ranker
    slots: MultiSlotRanker
    rewarder: Rewarder

    @classmethod
    def of(cls, record: LoopRecord, common: Common, *, looked: Callable[[str], None]) -> Self:
        """Put together what serves this life of the loop; ``looked`` is told its name after each look for a newer model."""
        storage, place, encoders = common.storage, record.place, common.shared.encoders
        clock = LogClock(common.clock, storage.time)
        defaults = replace(common.settings.loop, name=record.name)
        configuration = StoredConfiguration(storage, defaults=defaults, record=record)
        log = build_event_log(common, place)
        models = ModelServer(
            FollowedFeed(FileModelFeed(storage, loop=place), log),
            configuration,
            defaults=_at_first(record, defaults),
            polling=common.polling,
            budget=common.shared.models,
            looked=partial(looked, record.name),
        )
        return cls(
            common=common,
            place=place,
            defaults=defaults,
            clock=clock,
            configuration=configuration,
            log=log,
            models=models,
            allowance=Allowance(FileUsage(storage, place=place), clock=clock),
            ranker=Ranker(log, models, clock=clock, encoders=encoders),
            slots=MultiSlotRanker(log, models, clock=clock, encoders=encoders),
            rewarder=Rewarder(log, clock=clock),
        )


def build_uploads(loop: Serving) -> "Uploads":
    """Give what stores batches of decisions and rewards."""
    from shared.services.serving.uploads import Uploads

    common = loop.common
    return Uploads(loop.log, loop.models, clock=loop.clock, grace=common.settings.upload_grace, place=loop.place, shared=common.shared)


def build_verified(loop: "LoopServices") -> "VerifiedUploads":
    """Give what stores the decisions of clients that come out the same here."""
    from shared.services.serving.deciding import Decider
    from shared.services.serving.kept_models import KeptModels
    from shared.services.serving.verified_uploads import Means, VerifiedUploads
    from shared.services.serving.verifying import Verifier
    from shared.storage.refused_lines import FileRefusedLines

    shared, grace = loop.common.shared, loop.common.settings.upload_grace
    means = Means(loop.common.tickets, KeptModels(loop.store, shared.models), FileRefusedLines(loop.storage, loop=loop.place))
    verifier = Verifier(Decider(shared.encoders), place=loop.place, shared=shared)
    return VerifiedUploads(loop.log, loop.models, means, verifier, place=loop.place, clock=loop.clock, grace=grace)


def _at_first(record: LoopRecord, defaults: LoopSettings) -> LoopSettings:
    """Give the settings to serve until the first look; a stored policy that cannot be followed is that look's to tell of."""
    settings = record.settings(defaults)
    try:
        parse_arguments(settings.policy.arguments)
    except InvalidPolicyConfigurationError:
        return replace(settings, policy=defaults.policy)
    return settings
