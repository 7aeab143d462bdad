"""Whatever an owner does with models, and however few are kept, the published one can be rebuilt from nothing."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.ledger import ModelKind, Origin, Provenance, Stretch
from shared.services.models.publishing import MOST_STRETCHES, path_of
from shared.services.models.replay import Replay, find_route
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.keeping import keeper, pointer_of, provenance_of, replayed
from tests.reliability.world import LOOP, event_log, retention, trainer
from tests.services.models.test_replay import C1, C2, C3, C4, C5, CHUNKS, made_of
from tests.stores import opened

STORE = "rebuilt"


@pytest.fixture
async def owner(storage) -> AsyncIterator["Owner"]:
    account = opened(storage)
    yield Owner(account)
    await account.close()


class Owner:
    """Has windows learned, goes back, begins anew, and keeps no more than two models."""

    def __init__(self, account: Storage) -> None:
        self.account = account
        self.clock = SetClock(T0)
        self.log = event_log(account, self.clock)
        self.loop = LOOP
        self.passed = 0

    async def learn(self, *, deferred: bool = False) -> None:
        """Let a minute pass in which one event is logged."""
        self.passed += 60
        self.clock.at = after(self.passed)
        event = f"e{self.passed}"
        await self.log.append_decision(decision(event, at=self.clock.at, deferred=deferred))
        await self.log.append_observation(observation(event, self.passed % 7 / 7, at=self.clock.at))
        await trainer(self.account, self.clock.at + timedelta(seconds=50), store=STORE, loop=self.loop).run()

    async def learn_nothing(self) -> None:
        await self.learn(deferred=True)

    async def begin_anew(self) -> None:
        """Change how rewards are defined, and have the model learned again."""
        self.loop = replace(self.loop, resets=self.loop.resets + 1, default_reward=0.25 * (self.loop.resets % 4))
        await self.learn()

    async def go_back(self) -> None:
        """Restore the oldest model that is kept."""
        kept = keeper(self.account, self.clock.at, store=STORE, loop=self.loop)
        versions = await kept.versions()
        if versions:
            await kept.restore(versions[-1].version)

    async def delete(self) -> None:
        await keeper(self.account, self.clock.at, store=STORE, loop=self.loop).delete()

    async def prune(self) -> None:
        await retention(self.account, store=STORE, models_kept=1, loop=self.loop).run()

    async def rebuild(self) -> None:
        """Rebuild the published model from nothing, and compare the bytes."""
        if (await pointer_of(self.account, STORE)).version:
            route = await Replay(FileColdLog(self.account, loop=STORE), FileModelStore(self.account, loop=STORE)).plan()
            assert (route.start, route.reason) == ("", "")
            assert (await replayed(self.account, STORE))[-1] == route.version


async def test_a_copy_is_rebuilt_when_the_model_that_it_is_a_copy_of_is_no_longer_kept(owner):
    await owner.learn()
    await owner.learn()
    await owner.go_back()
    await owner.prune()
    pointer = await pointer_of(owner.account, STORE)
    copy = await provenance_of(owner.account, STORE, pointer.version)
    assert copy.kind is ModelKind.RESTORED
    assert copy.parent not in await FileColdLog(owner.account, loop=STORE).models()
    await owner.rebuild()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.sweep(keep=3)
async def test_after_any_sequence_of_changes_the_published_model_is_rebuilt(owner, seed):
    chance = random.Random(seed)
    moves: list[Callable[[], Awaitable[None]]] = [
        owner.learn,
        owner.learn,
        owner.go_back,
        owner.learn_nothing,
        owner.begin_anew,
        owner.delete,
    ]
    await chance.choice([owner.learn, owner.learn_nothing])()
    for move in chance.choices(moves, weights=[4, 4, 6, 2, 1, 1], k=12):
        await move()
        await owner.prune()
        await owner.rebuild()


# --- the way, without storage --------------------------------------------------------------------------------------------------


def copy_of(parent: str, *, at: str, path: tuple[Stretch, ...] = ()) -> Provenance:
    return replace(made_of(parent, at), kind=ModelKind.RESTORED, origin=Origin("copy", at, T0, path))


def test_a_copy_that_an_earlier_release_made_is_followed_through_what_is_kept():
    models = {"m2": made_of("", C2), "copy": copy_of("m2", at=C3)}
    assert path_of("copy", models) == (Stretch(C2),)
    assert find_route("copy", "", models, CHUNKS).chunks == [C1, C2]
    assert path_of("copy", {"copy": models["copy"]}) == ()


def test_what_was_learned_from_a_copy_is_rebuilt_without_it():
    learned = replace(made_of("copy", C4), origin=Origin("copy", C3, T0, (Stretch(C2),)))
    assert path_of("m4", {"m4": learned}) == (Stretch(C2), Stretch(C4, behind=C3))
    again = copy_of("m4", at=C5, path=path_of("m4", {"m4": learned}))
    assert find_route("copy", "", {"copy": again}, CHUNKS).chunks == [C1, C2, C4]


def test_a_stretch_that_goes_on_from_the_last_chunk_makes_it_longer():
    learned = replace(made_of("copy", C4), origin=Origin("copy", C2, T0, (Stretch(C2),)))
    assert path_of("m4", {"m4": learned}) == (Stretch(C4),)


def test_a_copy_of_what_was_learned_anew_tells_of_the_rewards_it_was_learned_with():
    anew = replace(
        made_of("", C4), kind=ModelKind.RETRAINED, first=C3, settings='{"reward_wait":60,"default_reward":0.5,"reward_aggregation":"sum"}'
    )
    copy = copy_of("gone", at=C5, path=path_of("m4", {"m4": anew}))
    route = find_route("copy", "", {"copy": copy}, CHUNKS)
    assert list(route.chunks) == [C3, C4]
    assert set(route.rejoined) == {C3, C4}
    assert '"default_reward":0.5' in route.rejoined[C3]


def test_nothing_is_told_of_a_model_that_came_from_outside():
    outside = replace(made_of("", C2), kind=ModelKind.IMPORTED, origin=Origin("m2", C2, T0))
    learned = replace(made_of("m2", C3), origin=Origin("m2", C2, T0))
    assert path_of("m2", {"m2": outside}) == path_of("m3", {"m2": outside, "m3": learned}) == ()


def test_a_path_that_takes_more_than_a_label_holds_is_not_told():
    path = tuple(Stretch(C2, behind=C5) for _ in range(MOST_STRETCHES))
    learned = replace(made_of("copy", C4), origin=Origin("copy", C3, T0, path))
    assert path_of("m4", {"m4": learned}) == ()
