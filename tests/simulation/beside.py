"""What is done beside the calls of one loop with one slot: several slots, decisions of clients, the owner's container, schedules."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from shared.domain.errors import StorageUnavailableError
from shared.domain.events import Action
from shared.domain.loop import LearningPolicy
from shared.domain.mirror import MirrorTarget
from shared.domain.schedules import Plan
from shared.domain.slots import MultiSlotSituation, Slot
from shared.domain.uploads import Accepted, Batch, Claim, Report, Shown
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.model import Model
from shared.runtime.loop_services import LoopServices
from shared.services.log.mirroring import Mirrored, Mirroring
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import Served
from shared.storage.mirror import ContainerMirror
from tests.builders import situation
from tests.simulation.network import Call
from tests.simulation.process import Process
from tests.simulation.steps import DEFAULT, Arguments, admitted

SLOTTED: Final = "slotted"
"""A loop that ranks several slots."""

SLOTS: Final = ("top", "side")
_SEVERAL: Final = LearningPolicy(arguments="--ccb_explore_adf --epsilon 0.5")
_ASKED: Final = MultiSlotSituation(
    ({"user": {"segment": "s1"}},),
    tuple(Action(each, ({"topic": f"of {each}"},)) for each in "abc"),
    tuple(Slot(name, baseline) for name, baseline in zip(SLOTS, "ab", strict=True)),
)

_MOST_TRIES: Final = 8


# --- several slots -----------------------------------------------------------------------------------------------------------


async def rank_slots(process: Process, asked: Arguments) -> None:
    """Rank two slots, in a loop that is made where it is not there."""
    services = await _slotted(process)
    await services.slots.rank(_ASKED, event_id=asked["event"], deferred=False)


async def reward_slot(process: Process, asked: Arguments) -> None:
    await (await _slotted(process)).rewarder.reward_slot(asked["event"], asked["slot"], asked["value"])


async def _slotted(process: Process) -> LoopServices:
    services = await process.deployment.find(SLOTTED)
    if services is None:
        kept = await process.deployment.loops.put(SLOTTED, None, {})
        await process.deployment.note(kept.record)
        services = await process.deployment.find(SLOTTED)
        assert services is not None
    if services.record.settings(services.defaults).policy != _SEVERAL:
        await services.configurator.set_policy(_SEVERAL)
    return services


# --- clients that decide by themselves ---------------------------------------------------------------------------------------


async def decide(process: Process, asked: Arguments) -> None:
    """Have a client fetch the model and decide by it; nothing is sent yet."""
    services = await admitted(process)
    offer = await services.handing_out.offer()
    content = await services.handing_out.model(offer)
    model = Model.cold() if content is None else artifact.load_model(content)
    served = Served(offer.version, None, model, offer.settings, arguments=parse_arguments(offer.settings.policy.arguments))
    now, about, decider = process.storage.stored.now(), situation(), Decider()
    claims = []
    for line, event_id in enumerate(asked["events"], start=2):
        made = decider.decide(about, served, event_id=event_id, at=now, deferred=False)
        shown = Shown("", about.actions[made.chosen].id, made.probabilities[made.chosen])
        claims.append(Claim(line, event_id, about, False, now, (shown,), offer.ticket, event_id.encode()))
    process.outside.decided[asked["batch"]] = tuple(claims)


async def send(process: Process, asked: Arguments) -> Accepted:
    """Send what a client has decided, perhaps once more; nothing where it could not fetch the model."""
    claims = process.outside.decided.get(asked["batch"], ())
    if not claims:
        return Accepted(0, 0, ())
    services = await admitted(process)
    return await services.verified.decisions(Batch(process.storage.stored.now(), claims))


# --- the owner ---------------------------------------------------------------------------------------------------------------


async def tell(process: Process, asked: Arguments) -> None:
    """Send a reward that has an id, as often as a client does that hears no answer; of a slot, to the loop that has several."""
    services = await _slotted(process) if asked["slot"] else await admitted(process)
    await services.uploads.observations([Report(asked["event"], asked["value"], asked["slot"], None, asked["id"])])


async def set_policy(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).configurator.set_policy(LearningPolicy("changed", asked["arguments"]))


async def put_schedule(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).schedules.put(asked["id"], Plan("daily", every_days=1, over_days=1))


# --- timers ------------------------------------------------------------------------------------------------------------------


async def run_schedules(process: Process, asked: Arguments) -> None:
    services = await process.deployment.fresh(DEFAULT)
    if services is not None:
        await services.schedules.run()


async def mirror(process: Process, asked: Arguments) -> Mirrored:
    """Copy the log to its owner's container, which is reached by the same network."""
    services = await process.deployment.fresh(DEFAULT)
    assert services is not None
    copy = ContainerMirror(services.storage, loop=services.place, write=partial(_write, process))
    return await Mirroring(services.joined, services.store, copy, services.configuration, clock=services.clock).run()


async def _write(process: Process, target: MirrorTarget, name: str, text: bytes) -> None:
    await process.storage.call(Call("write", "container", name, len(text)), partial(process.outside.container.__setitem__, name, text))


async def mirror_all(process: Process, asked: Arguments) -> None:
    """Copy all that waits, however long the mirror rests after it has failed."""
    services = await process.deployment.fresh(DEFAULT)
    assert services is not None
    for _ in range(_MOST_TRIES):
        done = await mirror(process, asked)
        report = await services.mirroring.report(await services.configurator.read())
        if report is None or (report.next_try_at is None and not done.waiting and not done.error):
            return
        if report.next_try_at is not None:
            await asyncio.sleep((report.next_try_at - services.clock.now()).total_seconds() + 1.0)
    raise StorageUnavailableError("the mirror comes to no end")


BESIDE: Final[Mapping[str, Callable[[Process, Arguments], Coroutine[Any, Any, object]]]] = MappingProxyType(
    {
        each.__name__: each
        for each in (rank_slots, reward_slot, decide, send, tell, set_policy, put_schedule, run_schedules, mirror, mirror_all)
    }
)
