"""What is looked at of that which is done beside the default loop's calls (`tests.simulation.beside`)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.domain.errors import ResourceNotFoundError
from shared.domain.events import JoinedEvent, SkipReason
from shared.domain.uploads import Accepted, RefusalCode
from shared.joining.reading import read_line
from shared.runtime.loop_services import LoopServices
from tests.simulation.beside import SLOTS, SLOTTED
from tests.simulation.process import Process
from tests.simulation.promises import APART, Promise, Promises


async def joined(services: LoopServices) -> list[JoinedEvent]:
    """Give all that is in the joined log, in its order."""
    return [read_line(line) for chunk in await _chunks(services) for line in chunk.splitlines()]


async def _chunks(services: LoopServices) -> list[bytes]:
    return [await services.joined.chunk(name) for name in await services.joined.chain()]


# --- several slots -----------------------------------------------------------------------------------------------------------


async def of_slots(process: Process, promises: Promises, wait: timedelta) -> list[str]:
    """All slots of an event are stored or none is, each counts once, and a reward is its slot's."""
    services = await process.deployment.fresh(SLOTTED)
    if services is None:
        return [f"of several slots each decision is stored: {each.event} is not" for each in promises["rank_slots"] if each.is_acknowledged]
    first = [event for event in await joined(services) if event.skip is not SkipReason.DUPLICATE]
    found = Counter((event.decision.event_id, event.decision.slot) for event in first)
    broken = [f"a slot's decision counts once: {key} counts {times} times" for key, times in found.items() if times > 1]
    for event in {event for event, _ in found} | {each.event for each in promises["rank_slots"] if each.is_acknowledged}:
        missing = [slot for slot in SLOTS if not found[event, slot]]
        if missing:
            broken.append(f"all slots of an event are stored, or none: of {event} {missing} are not")
    return [*broken, *_rewards_of_slots(first, promises, wait)]


def _rewards_of_slots(events: Sequence[JoinedEvent], promises: Promises, wait: timedelta) -> Iterator[str]:
    placed = {
        seen.reward: (event.decision.event_id, event.decision.slot)
        for event in events
        for seen in event.observations
        if seen.reward is not None
    }
    counted = Counter([seen.reward for event in events for seen in event.observations if seen.reward is not None])
    for promise in [*promises["reward_slot"], *[each for each in promises["tell"] if each.step.arguments["slot"]]]:
        if counted[promise.step.arguments["value"]] > 1:
            yield f"a slot's reward counts once: {promise.step.arguments} counts {counted[promise.step.arguments['value']]} times"
        arguments = promise.step.arguments
        value, whose = arguments["value"], (promise.event, arguments["slot"])
        if placed.get(value, whose) != whose:
            yield f"a reward is its own slot's: {value} of {whose} is at {placed[value]}"
        calls = [each for each in promises["rank_slots"] if each.event == promise.event]
        is_due = len(calls) == 1 and _is_in_time(promise, calls[0], wait) and not promises.is_sent_again(promise)
        if value not in placed and is_due and not promises.sets_clocks:
            yield f"a slot's reward in time is placed: {value} of {whose} is not"


def _is_in_time(reward: Promise, decided: Promise, wait: timedelta) -> bool:
    if reward.kept_at is None or decided.kept_at is None:
        return False
    is_near = decided.kept_at - timedelta(seconds=100) < reward.made_at  # a process may stand still between the call and its row
    return is_near and reward.kept_at + APART < decided.made_at + wait


# --- clients that decide by themselves ---------------------------------------------------------------------------------------


def of_refused(promises: Promises) -> Iterator[str]:
    """What a client decided by the rules is not refused, as long as its model is kept."""
    for promise in promises["send"]:
        if isinstance(promise.answer, Accepted):
            for each in promise.answer.refused:
                if each.code is not RefusalCode.MODEL_NOT_KEPT:
                    yield f"no client's decision is refused that was made by the rules: {each.event_id}: {each.code}: {each.message}"


# --- the owner ---------------------------------------------------------------------------------------------------------------


def of_holdout(events: Sequence[JoinedEvent], promises: Promises) -> Iterator[str]:
    """An event is held out by a share that was wished for, shows the baseline then, and has the probability of both ways."""
    wished = {each.step.arguments.get("holdout_percentage", 0.0) for each in promises["configure"]}
    for decision in [event.decision for event in events]:
        holdout = decision.holdout
        if holdout is None:
            continue
        if holdout.share not in wished:
            yield f"events are held out by the share that was wished for: {decision.event_id} by {holdout.share}"
        if holdout.is_held_out and decision.chosen:
            yield f"an event that is held out shows the baseline: {decision.event_id} shows {decision.chosen}"
        if decision.probabilities[0] < holdout.share - 1e-9:
            yield f"the probability is that of both ways: the baseline of {decision.event_id} has {decision.probabilities[0]}"


async def of_policy(services: LoopServices, promises: Promises) -> list[str]:
    """A policy that was set alone, and acknowledged, holds."""
    changes = promises["set_policy"]
    if len(changes) != 1 or not changes[0].is_acknowledged:
        return []
    wished, found = changes[0].step.arguments["arguments"], (await services.configurator.read()).policy.arguments
    return [] if found == wished else [f"a policy that was set holds: it is {found!r}, not {wished!r}"]


async def of_container(process: Process, services: LoopServices) -> list[str]:
    """The owner's container holds each chunk once, in the order of the log."""
    if not (await services.configurator.read()).log_mirror_enabled:
        return []
    wanted, copied = await _chunks(services), [text for _, text in sorted(process.outside.container.items())]
    if copied == wanted:
        return []
    which = [wanted.index(text) if text in wanted else "?" for text in copied]
    return [f"an owner's container has each chunk once, in order: it has {which} of {len(wanted)}"]


async def of_schedules(services: LoopServices, promises: Promises) -> list[str]:
    """A schedule is there once it was acknowledged, and has one evaluation for each period, which comes to an end."""
    wished = {each.step.arguments["id"] for each in promises["put_schedule"] if each.is_acknowledged}
    schedules = await services.schedules.all()
    broken = [f"a schedule is there: {name} is not" for name in sorted(wished - {each.id for each in schedules})]
    named: set[str] = set()
    for schedule in schedules:
        named |= {run.evaluation for run in schedule.runs}
        times = [run.due for run in schedule.runs]
        if len(times) != len(set(times)) or not times:
            broken.append(f"each period has one run: {schedule.id} has {[str(each) for each in times]}")
        broken += [f"each run comes to an end: that of {run.due} is {run.status}" for run in schedule.runs if not run.status.is_over]
        broken += [
            f"each run has its evaluation: {run.evaluation} is not there"
            for run in schedule.runs
            if not await _is_there(services, run.evaluation)
        ]
    asked = {each.job.id for each in await services.evaluations.listed() if each.job.id.startswith("scheduled-")}
    return [*broken, *[f"a period's evaluation is asked for once: {name} is no run's" for name in sorted(asked - named)]]


async def _is_there(services: LoopServices, evaluation: str) -> bool:
    try:
        await services.evaluations.read(evaluation)
    except ResourceNotFoundError:
        return False
    return True
