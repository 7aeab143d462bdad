"""What processes are asked to do: the calls of clients and owners as the functions make them, and what timers do."""

from base64 import b64decode
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from shared.domain.clock import TimeLimit
from shared.domain.errors import UnavailableError
from shared.domain.evaluation import Asked
from shared.domain.events import JoinedEvent
from shared.domain.loop import LearningPolicy
from shared.domain.uploads import Interaction, Report
from shared.joining.dsjson import lines
from shared.runtime.auth import HEADER
from shared.runtime.fanout import train_turn
from shared.runtime.loop_services import LoopServices
from shared.services.analysis.board import Message
from shared.services.importing.importer import Importer, Pace
from shared.storage import names
from shared.storage.copying.copying import Copier
from tests.builders import decision, observation, situation
from tests.services.importing.reading_files import MemoryFile
from tests.simulation.plan import KEYS
from tests.simulation.process import Process
from tests.simulation.virtual import BEGIN

DEFAULT: Final = "default"
OTHER: Final = "other"
"""A loop that comes and goes."""

TAKEN: Final = "taken"
"""A loop that a log is imported into."""

IMPORTED: Final = 8
_SMALL: Final = Pace(first=2, events=2, commit=4)

MOST_TRIES: Final = 5
"""As host.json has it."""

Arguments = Mapping[str, Any]


async def admitted(process: Process, loop: str = DEFAULT, key: str = KEYS[0]) -> LoopServices:
    """Give a loop's services to the holder of a key, as every call of HTTP does."""
    return await process.deployment.admit(loop, {HEADER.lower(): key})


# --- applications ------------------------------------------------------------------------------------------------------------


async def rank(process: Process, asked: Arguments) -> None:
    services = await admitted(process)
    await services.ranker.rank(situation(), event_id=asked["event"], deferred=asked["deferred"])


async def reward(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).rewarder.reward(asked["event"], asked["value"])


async def activate(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).rewarder.activate(asked["event"])


async def upload(process: Process, asked: Arguments) -> None:
    """Store a client's batch: decisions and, in a call of its own, their rewards."""
    services = await admitted(process)
    at = process.storage.stored.now() - timedelta(seconds=asked["age"])  # by the client's own clock, which is right
    made = [Interaction(event_id, situation(), (0.75, 0.25), 0, "", deferred=False, at=at) for event_id in asked["events"]]
    await services.uploads.interactions(made)


async def upload_rewards(process: Process, asked: Arguments) -> None:
    services = await admitted(process)
    await services.uploads.observations([Report(asked["event"], asked["value"], "", None)])


# --- owners ------------------------------------------------------------------------------------------------------------------


async def delete_log(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).logs.delete()


async def configure(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).configurator.configure(asked)


async def delete_model(process: Process, asked: Arguments) -> None:
    await (await admitted(process)).keeper.delete()


async def restore_model(process: Process, asked: Arguments) -> None:
    """Publish the oldest model that is kept, if there is one."""
    keeper = (await admitted(process)).keeper
    versions = await keeper.versions()
    if versions:
        await keeper.restore(versions[-1].version)


async def new_key(process: Process, asked: Arguments) -> str:
    """Put a new second key in place of the one there was, and tell it."""
    services = await admitted(process)
    record, key = await process.deployment.loops.regenerate(DEFAULT, 2, own_keys=services.settings.key_digests)
    await process.deployment.note(record)
    return key


async def make_loop(process: Process, asked: Arguments) -> str:
    kept = await process.deployment.loops.put(OTHER, None, {})
    await process.deployment.note(kept.record)
    return "".join(kept.keys[:1])


async def delete_loop(process: Process, asked: Arguments) -> None:
    await process.deployment.note(await process.deployment.loops.delete(OTHER))


async def rank_other(process: Process, asked: Arguments) -> None:
    """Rank in the loop that comes and goes, as one who has its key by now."""
    services = await process.deployment.find(OTHER)
    if services is not None:
        await services.ranker.rank(situation(), event_id=asked["event"], deferred=False)


async def evaluate(process: Process, asked: Arguments) -> str:
    """Ask for an evaluation of all that is logged by now, with a policy beside."""
    services = await admitted(process)
    now = services.clock.now()
    wanted = Asked(
        "evaluation", now - timedelta(days=1), now, (LearningPolicy("another", "--cb_explore_adf --epsilon 0.5"),), seeks_better=False
    )
    evaluation = await services.evaluations.submit(wanted, online=LearningPolicy(), request_id="", job_id=asked["id"])
    return evaluation.job.id


async def import_log(process: Process, asked: Arguments) -> None:
    """Take a log of another service into a loop of its own, which is made where it is not there."""
    kept = await process.deployment.loops.put(TAKEN, None, {})
    await process.deployment.note(kept.record)
    services = await process.deployment.find(TAKEN)
    assert services is not None
    importer = Importer(services.log, services.joined, services.store, services.configuration, clock=services.clock, pace=_SMALL)
    await importer.run([MemoryFile("log.dsjson", log_of_others())])


@cache
def log_of_others() -> bytes:
    """Write the log that is imported: `IMPORTED` events of the day before."""
    made = [decision(f"i{number}", at=BEGIN - timedelta(days=1) + timedelta(seconds=number)) for number in range(IMPORTED)]
    return lines([JoinedEvent(each, 0.25, (observation(each.event_id, 0.25, at=each.decided_at),)) for each in made])


async def back_up(process: Process, asked: Arguments) -> None:
    """Copy the whole deployment to another storage."""
    await Copier(process.storage, process.backup, source_id="simulated").run()


# --- queues ------------------------------------------------------------------------------------------------------------------


async def work(process: Process, asked: Arguments) -> None:
    """Do what messages ask for, as the Functions host has it done: what fails is seen again, five times in all."""
    queue = process.storage.queue(names.JOBS)
    for _ in range(20):
        received = await queue.receive(most=1, hidden_for=timedelta(minutes=10))
        if not received:
            return
        read = Message.read(b64decode(received[0].text))
        services = await process.deployment.fresh(read.loop)
        if services is not None:
            try:
                last = received[0].dequeue_count > MOST_TRIES
                await (services.analyses.give_up(read) if last else services.analyses.handle(read))
            except UnavailableError:
                await queue.hide(received[0], during=timedelta(seconds=30))
                continue
        await queue.delete(received[0])


# --- timers ------------------------------------------------------------------------------------------------------------------


async def train(process: Process, asked: Arguments) -> None:
    for loop in await process.deployment.names():
        services = await process.deployment.fresh(loop)
        if services is not None:
            await train_turn(services, TimeLimit(timedelta(minutes=1)))


async def retain(process: Process, asked: Arguments) -> None:
    for loop in await process.deployment.names():
        services = await process.deployment.fresh(loop)
        if services is not None:
            await services.retention.run()
        await process.deployment.erase(loop)


async def sweep(process: Process, asked: Arguments) -> None:
    """Take up analyses that were lost between two calls."""
    services = await process.deployment.fresh(DEFAULT)
    if services is not None:
        await services.analyses.sweep()


STEPS: Final[Mapping[str, Callable[[Process, Arguments], Coroutine[Any, Any, object]]]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            rank,
            reward,
            activate,
            upload,
            upload_rewards,
            delete_log,
            configure,
            delete_model,
            restore_model,
            new_key,
            make_loop,
            delete_loop,
            rank_other,
            evaluate,
            import_log,
            back_up,
            work,
            train,
            retain,
            sweep,
        )
    }
)
