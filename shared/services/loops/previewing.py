"""What a change of settings would do to the model and the log, told before it is made."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.clock import EARLIEST, EPOCH, Clock, days_before
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import LearningMode
from shared.domain.ledger import Link, Pointer
from shared.domain.loop import ApprenticeLearning, LoopRecord, LoopSettings
from shared.domain.ports import ModelStore
from shared.domain.words import counted
from shared.joining.chunks import ChunkName
from shared.learning.artifact import load_learner
from shared.learning.learner import KEPT_FROM
from shared.services.loops.configuring import Change, Configurator
from shared.services.training.retraining import Chunks, Way, reach, way_back

MOST_CHUNKS: Final = 20_000
"""Of the log that are looked at: what is behind them is told as "at least"."""

MOST_READ: Final = 20
"""Chunks of earlier releases that are read to count their events; more of them are told as "at least"."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    ``known`` events are what the present model learned, ``learned`` what the next one will have, at least so many unless ``is_exact``.
    ``deleted`` events of the log end with shorter retention, learned or not. ``before`` and ``after`` are the settings in force. It
    ``is_lossy`` if something that was learned or logged is lost by it, now or in time, or may be.
    """

    before: LoopSettings
    after: LoopSettings
    is_learned_again: bool
    learned: int
    known: int
    deleted: int
    is_exact: bool
    is_lossy: bool
    message: str


class Previewer:
    """Looks ahead for one loop; changes nothing."""

    def __init__(self, configurator: Configurator, log: Chunks, store: ModelStore, *, clock: Clock) -> None:
        self._configurator = configurator
        self._log = log
        self._store = store
        self._clock = clock

    async def preview(self, change: Change) -> Preview:
        """Tell what the change would do; raises what making it would raise, and as the log and the store do."""
        return await self.preview_of(lambda record: self._configurator.changed(record, change))

    async def preview_of(self, change: Callable[[LoopRecord], LoopRecord]) -> Preview:
        """Tell what a change of the loop's record would do; raises as `preview`."""
        old, new = await self._configurator.tried(change)
        found = await self._store.pointer()
        pointer = found[0] if found else Pointer(0, "", EPOCH, EPOCH, resets=old.resets)
        now, is_again, is_due = self._clock.now(), new.resets != old.resets, await self._is_due(pointer, old)
        looked = await self._look(pointer, old, new, now, is_again=is_again or is_due)
        if is_due and not is_again:  # what an earlier change asks for has not begun: this one may still make it less, or more
            as_it_is = await self._look(pointer, old, old, now, is_again=True)
            is_again = (looked.learned, looked.is_exact) != (as_it_is.learned, as_it_is.is_exact)
        learned = looked.learned if is_again else pointer.learned
        is_exact = looked.is_exact if is_again or _is_shorter(old, new, now) else True
        told = _message(pointer, new, learned, is_again=is_again, is_exact=is_exact, deleted=looked.deleted)
        begins = _begins_to_imitate(old, new) and learned > 0
        stays = not is_again and pointer.resets == old.resets
        rewarded = await self._rewarded(pointer.version) if begins and stays else None
        later = [*_later(old, new), *(_of_imitation(learned, rewarded) if begins else [])]
        forgets = begins and _is_young(learned, rewarded)
        is_lossy = learned < pointer.learned or looked.deleted > 0 or not is_exact or forgets
        message = " ".join([told, *later])
        return Preview(old, new, is_again, learned, pointer.learned, looked.deleted, is_exact, is_lossy, message)

    async def _is_due(self, pointer: Pointer, loop: LoopSettings) -> bool:
        """Whether an earlier change asks for a new model that nobody has begun to learn: which events that learns is still open."""
        if pointer.resets == loop.resets:
            return False
        try:
            begun = await self._store.checkpoints.progress()
        except NewerFormatError:
            raise
        except UnreadableError:
            return True
        return begun is None or begun.resets != loop.resets

    async def _rewarded(self, version: str) -> int | None:
        """Read how many events taught a model by their rewards, as its learner counts them; None if that cannot be told."""
        try:
            learner = await asyncio.to_thread(load_learner, await self._store.state(version))
        except NewerFormatError:
            raise
        except UnreadableError:
            return None
        return learner.rewarded

    async def _look(self, pointer: Pointer, old: LoopSettings, new: LoopSettings, now: datetime, *, is_again: bool) -> "_Counts":
        """Count what would be learned again, and what shorter retention would delete, in one walk back through the log."""
        counts = _Counts()
        is_wanted, kept_since = reach(pointer, new, now=now), _kept_since(new, now)
        is_shorter = _is_shorter(old, new, now)
        if not (is_again or is_shorter):
            return counts
        unread: list[tuple[str, bool, bool, int]] = []

        def is_next(name: str, link: Link, way: Way) -> bool:
            if way.count >= MOST_CHUNKS:
                counts.is_exact = False
                return False
            is_kept = ChunkName.parse(name).until >= kept_since
            is_learned = is_kept and counts.is_reaching and is_wanted(name, link, way)
            counts.is_reaching = is_learned
            if not is_learned and not (is_shorter and new.log_retention_days != -1):
                return False
            count = link.learned if is_kept else link.events
            if count is None:
                unread.append((name, is_learned, is_kept, link.learned or 0))
            counts.add(count or 0, is_learned=is_learned, is_kept=is_kept)
            return True

        await way_back(self._log, pointer.chunk, is_next)
        for number, (name, is_learned, is_kept, least) in enumerate(unread):
            is_read = number < MOST_READ
            counts.add(await self._lines(name) if is_read else least, is_learned=is_learned, is_kept=is_kept)
            counts.is_exact &= is_read and not is_kept  # a line is an event, but not each teaches something
        return counts

    async def _lines(self, name: str) -> int:
        try:
            text = await self._log.chunk(name)
        except UnreadableError:
            return 0
        return await asyncio.to_thread(text.count, b"\n")


@dataclass(slots=True)
class _Counts:
    learned: int = 0
    deleted: int = 0
    is_exact: bool = True
    is_reaching: bool = True

    def add(self, events: int, *, is_learned: bool, is_kept: bool) -> None:
        self.learned += events if is_learned else 0
        self.deleted += 0 if is_kept else events


def _is_shorter(old: LoopSettings, new: LoopSettings, now: datetime) -> bool:
    return _kept_since(new, now) > _kept_since(old, now)


def _kept_since(loop: LoopSettings, now: datetime) -> datetime:
    return EARLIEST if loop.log_retention_days == -1 else days_before(now, loop.log_retention_days)


def _message(pointer: Pointer, new: LoopSettings, learned: int, *, is_again: bool, is_exact: bool, deleted: int) -> str:
    """Say it in at most three sentences.

    >>> at = EPOCH
    >>> one = Pointer(1, "1", at, at, learned=20_001)
    >>> _message(one, LoopSettings(), 1, is_again=True, is_exact=True, deleted=0)
    'The model is learned again from the log. The new model will know 1 of 20,001 events: the log holds no more.'
    >>> _message(one, LoopSettings(), 20_001, is_again=False, is_exact=True, deleted=0)
    'The model stays: it knows 20,001 events.'
    >>> _message(one, LoopSettings(), 500, is_again=True, is_exact=False, deleted=0)
    'The model is learned again from the log. The new model will know at least 500 of 20,001 events.'
    """
    said = []
    if not pointer.version and not learned:
        said.append("There is no model yet, so nothing is lost.")
    elif is_again:
        least = "" if is_exact else "at least "
        of_known = "" if learned > pointer.learned else f"{learned:,} of "
        known = f"{least}{of_known}{counted(max(learned, pointer.learned), 'event')}"
        why = _why_less(pointer, new, learned) if is_exact else ""
        said.append(f"The model is learned again from the log. The new model will know {known}{why}.")
    else:
        said.append(f"The model stays: it knows {counted(pointer.learned, 'event')}.")
    if deleted:
        said.append(f"Retention will delete {'' if is_exact else 'at least '}{counted(deleted, 'event')} from the log, for good.")
    elif not is_exact and not is_again:
        said.append(
            f"Retention will delete events older than {counted(new.log_retention_days, 'day')} from the log. They were not counted."
        )
    return " ".join(said)


def _later(old: LoopSettings, new: LoopSettings) -> Sequence[str]:
    """Say what a number of days that is set now, or made less, will do to a later change.

    >>> _later(LoopSettings(), LoopSettings(model_retrain_days=1, retrains_last_days=True))
    ['A later change that has the model learned again will learn the last 1 day only (modelRetrainDays).']
    """
    if not new.retrains_last_days or (old.retrains_last_days and new.model_retrain_days >= old.model_retrain_days):
        return []
    reach = f"the last {counted(new.model_retrain_days, 'day')} only" if new.model_retrain_days else "nothing of the log"
    return [f"A later change that has the model learned again will learn {reach} (modelRetrainDays)."]


def _begins_to_imitate(old: LoopSettings, new: LoopSettings) -> bool:
    is_begun = LearningMode.APPRENTICE is new.learning_mode is not old.learning_mode
    return is_begun and new.apprentice_learning is ApprenticeLearning.IMITATE


def _is_young(learned: int, rewarded: int | None) -> bool:
    """Whether a model imitates in Apprentice mode; where nobody knows how many rewards taught it, its events tell."""
    return (learned if rewarded is None else rewarded) < KEPT_FROM


def _of_imitation(learned: int, rewarded: int | None) -> Sequence[str]:
    """Say what a model does that is there when Apprentice mode begins; ``rewarded`` events taught it by their rewards, None if unknown.

    >>> _of_imitation(5_000, 20)[0]
    'In Apprentice mode the model learns to choose as your application does. It forgets its few rewards by that.'
    >>> _of_imitation(5_000, 100)[0]
    "In Apprentice mode the model keeps what rewards taught it, and goes on with the rewards of your application's choices."
    """
    if _is_young(learned, rewarded):
        return ["In Apprentice mode the model learns to choose as your application does. It forgets its few rewards by that."]
    if rewarded is not None:
        return ["In Apprentice mode the model keeps what rewards taught it, and goes on with the rewards of your application's choices."]
    return [
        f"In Apprentice mode a model keeps what at least {KEPT_FROM} events taught by their rewards: it goes on with the rewards of your"
        " application's choices. A model that knows fewer rewards learns to choose as your application does."
    ]


def _why_less(pointer: Pointer, new: LoopSettings, learned: int) -> str:
    if learned >= pointer.learned:
        return ""
    days = new.model_retrain_days
    return f": modelRetrainDays is set to {days}" if new.retrains_last_days else ": the log holds no more"
