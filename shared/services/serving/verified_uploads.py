"""Batches of what clients decided by themselves, stored only as far as the service comes to the same."""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import Clock
from shared.domain.errors import InvalidPolicyConfigurationError, InvalidRequestError
from shared.domain.events import Decision
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, RefusedLines
from shared.domain.uploads import Accepted, Basis, Batch, RefusalCode
from shared.joining.join import REMEMBERED
from shared.learning.arguments import parse_arguments
from shared.services.serving.kept_models import KeptModels
from shared.services.serving.model_server import ModelServer, Served
from shared.services.serving.tickets import Tickets
from shared.services.serving.uploads import times_of
from shared.services.serving.verifying import CLOCKS_DIFFER, Terms, Verified, Verifier

_COPIES_AN_HOUR: Final = 60
"""Of refused lines, of one loop in one process: what a client gets wrong it gets wrong all the time."""

_HOUR: Final = timedelta(hours=1)

_NO_TICKET: Final = RefusalCode.INVALID_TICKET, "this deployment has not given out this ticket"
_OTHER_LOOP: Final = RefusalCode.TICKET_OF_ANOTHER_LOOP, "the ticket is of another loop, or of one that was deleted"
_NOT_KEPT: Final = RefusalCode.MODEL_NOT_KEPT, "the model of the ticket is not kept any more"


@dataclass(slots=True)
class Counts:
    """What came of all lines that this process was sent."""

    stored: int = 0
    repeated: int = 0
    refused: Counter[RefusalCode] = field(default_factory=Counter)

    def add(self, accepted: Accepted) -> None:
        """Count one more batch."""
        self.stored += accepted.stored
        self.repeated += accepted.repeated
        self.refused.update([each.code for each in accepted.refused])


@dataclass(frozen=True, slots=True)
class Means:
    """What tickets are read with, models are had from, and refused lines are kept in."""

    tickets: Tickets
    models: KeptModels
    refused: RefusedLines


class VerifiedUploads:
    """Stores the decisions of a batch in one row, without those that do not come out the same."""

    def __init__(  # noqa: PLR0913 - it is between clients, models and the log
        self, log: EventLog, models: ModelServer, means: Means, verifier: Verifier, *, place: str, clock: Clock, grace: timedelta
    ) -> None:
        self._log = log
        self._models = models
        self._means = means
        self._verifier = verifier
        self._place = place
        self._clock = clock
        self._grace = grace
        self._one_at_a_time = threading.Lock()
        self._hour: datetime | None = None
        self._copies = 0
        self.counts = Counts()

    async def decisions(self, batch: Batch) -> Accepted:
        """Return once what is verified is stored, and what is refused is copied.

        Raises `InvalidRequestError` for a clock that is wrong, `EventTooLargeError`, `StorageUnavailableError` or `BacklogFullError`:
        then nothing is stored, and the batch may come again.
        """
        now = self._clock.now()
        sent_at = batch.sent_at or now
        _check_clock(sent_at, now)
        settings = (await self._models.served()).settings
        terms = Terms(
            sent_at=sent_at,
            now=now,
            oldest=settings.reward_wait + REMEMBERED - 2 * CLOCKS_DIFFER,
            remembers=settings.reward_wait + REMEMBERED,
            mode=settings.learning_mode,
            bases=await self._bases({each.ticket for each in batch.claims}, settings),
        )
        verified = await asyncio.to_thread(self._verified, batch, terms)
        refused = sorted([*batch.unread, *verified.refused], key=lambda each: each.line)
        if refused and self._may_copy(now):
            await self._means.refused.keep(refused, now)
        if verified.decisions:
            await self._log.append_decisions(self._timed(verified.decisions, now))
        self._verifier.remember(verified.known)
        accepted = Accepted(verified.stored, verified.repeated, refused)
        self.counts.add(accepted)
        return accepted

    def close(self) -> None:
        """Keep nothing at hand any more: the loop is gone."""
        self._means.models.close()

    def _verified(self, batch: Batch, terms: Terms) -> Verified:
        with self._one_at_a_time:
            verified = self._verifier.verify(batch.claims, terms)
        self._means.models.count()
        return verified

    def _timed(self, decisions: Sequence[Decision], now: datetime) -> list[Decision]:
        times = times_of([each.decided_at for each in decisions], now=now, grace=self._grace)
        return [replace(each, decided_at=at) for each, at in zip(decisions, times, strict=True)]

    def _may_copy(self, now: datetime) -> bool:
        if self._hour is None or now - self._hour >= _HOUR:
            self._hour, self._copies = now, 0
        self._copies += 1
        return self._copies <= _COPIES_AN_HOUR

    async def _bases(self, tickets: set[str], settings: LoopSettings) -> Mapping[str, Served | tuple[RefusalCode, str]]:
        return {each: await self._basis(each, settings) for each in tickets}

    async def _basis(self, ticket: str, settings: LoopSettings) -> Served | tuple[RefusalCode, str]:
        basis = await self._means.tickets.read(ticket) if ticket else Basis.none(self._place)
        if basis is None:
            return _NO_TICKET
        if basis.place != self._place:
            return _OTHER_LOOP
        model = await self._means.models.of(basis.version)
        if model is None:
            return _NOT_KEPT
        decided_by = basis.settings(settings) if ticket else _without_model(basis, settings)
        try:
            arguments = parse_arguments(decided_by.policy.arguments)
        except InvalidPolicyConfigurationError as error:
            return RefusalCode.INVALID_TICKET, str(error)
        return Served(basis.version, None, model, decided_by, arguments=arguments)


def _without_model(basis: Basis, settings: LoopSettings) -> LoopSettings:
    """Give the settings of what was decided by nothing: whether there are several slots is left to the loop's policy."""
    return replace(basis.settings(settings), policy=settings.policy)


def _check_clock(sent_at: datetime, now: datetime) -> None:
    if abs(sent_at - now) > CLOCKS_DIFFER:
        raise InvalidRequestError(
            f"line 1: sentAt: is more than {CLOCKS_DIFFER.seconds // 60} minutes away from the service's time, {now:%Y-%m-%dT%H:%M:%SZ}",
            target="line 1: sentAt",
        )
