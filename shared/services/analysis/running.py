"""Runs analyses: the queue's messages each do one step of one lane, and the last one that ends puts the result together.

A step reads how its lane stands, takes some chunks of the log further, writes how it stands now, on condition, and sends the message of
the next step. So a message that comes twice, or a worker that dies anywhere, changes nothing: a step that was done is only passed on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from shared.domain.clock import Clock, earlier, later
from shared.domain.errors import BusyError, ConflictError, PersonalizerError, UnavailableError, UnreadableError
from shared.domain.evaluation import Evaluation, FeatureImportance, Job, JobKind, JobStatus, LogBreakdown
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobQueue, JobStore, LoopConfiguration, WorkFiles
from shared.evaluation.series import INTERVALS
from shared.joining.chunks import ChunkName
from shared.joining.reading import read_lines
from shared.joining.rejoin import rejoin
from shared.services.analysis.board import Board, Message, Progress, Stage, Standing, lane_file, read_found, run_of, write_found
from shared.services.analysis.chunk_memory import ChunkKey, ChunkMemory
from shared.services.analysis.counting_lane import AnyLane
from shared.services.analysis.features import MOST_FEATURES, features_of
from shared.services.analysis.lane import Lane
from shared.services.analysis.present import PART_CHUNKS, PART_EVENTS, Chances, Part, part_file
from shared.services.analysis.results import Found
from shared.services.analysis.turns import TURNS, Place, has_turn
from shared.services.models.publishing import reward_settings, settings_text
from shared.services.process.concurrency import collector_at_rest, together
from shared.services.training.retraining import Begun

logger = logging.getLogger(__name__)

Analysis = Evaluation | FeatureImportance | LogBreakdown

LONGEST: Final = timedelta(hours=24)
"""A job that is not over after so long has timed out."""

STEP_EVENTS: Final = 20_000
STEP_CHUNKS: Final = 500
STEP_TIME: Final = timedelta(seconds=60)
"""A step ends with the chunk that reaches any of these: well within what the host lets a function run."""

MOST_CHUNKS: Final = 100_000
MOST_BUCKETS: Final = 2_880
"""Ten days of 5 minutes: over longer ranges the finest buckets last longer."""

BEHIND: Final = timedelta(seconds=1)
"""How long a lane's message waits in the queue if the lane has come as far as the one that values the present policy."""

LOOK: Final = timedelta(milliseconds=100)
LOOKS: Final = 10
"""How often, and how many times, such a lane looks again before that: the other one tells of its next part within parts of a second."""

WAIT: Final = timedelta(minutes=30)
WAIT_STEP: Final = timedelta(seconds=5)
"""How long a job waits, and how often it looks, when nothing of its range has been joined yet."""

SEALING: Final = timedelta(minutes=1)
"""Chunks go by when decisions were stored, which is a little after they were made."""

STALE: Final = timedelta(minutes=20)
"""A job that made no step for so long has lost its message."""

KEPT: Final = timedelta(days=7)
"""How long the learners of an analysis that is over are kept, for their policies to be put online with them."""

SAMPLE: Final = 500
SAMPLE_BYTES: Final = 16 * 1024 * 1024
"""Events that a plan may look at, and of how much text."""

WAITS: Final = "waits"
"""The file that tells that a job waits its turn."""

_ATTEMPTS: Final = 16


class Chunks(Protocol):
    """The joined log; raises as `shared.domain.ports.JoinedLog` does."""

    async def chain(self) -> Sequence[str]:
        """List the chunks that count, in order."""
        ...

    async def watermark(self) -> datetime | None:
        """Tell up to which time decisions have been joined; None before the first commit."""
        ...

    async def parent(self, name: str) -> str | None:
        """Tell which chunk was before this one; None if this one is not there any more."""
        ...

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines."""
        ...


class Method(Protocol):
    """What one kind of analysis does: which lanes it wants, stage by stage, and what it makes of what they found."""

    store: JobStore[Any]

    def wants_sample(self, analysis: Any) -> bool:
        """Tell whether the first stage depends on what is in the log."""
        ...

    def first(self, analysis: Any, chunks: Sequence[str], loop: LoopSettings, sample: Sequence[JoinedEvent]) -> Stage:
        """Plan the first stage over these chunks, at least one; ``sample`` are some events, if it wants any."""
        ...

    def following(self, analysis: Any, board: Board, found: Sequence[Found]) -> Stage | None:
        """Plan the stage after one that is over, from what its lanes found; None when there is nothing more to do."""
        ...

    def finished(self, analysis: Any, board: Board, found: Sequence[Found]) -> tuple[Any, Sequence[str]]:
        """Give the analysis with what the last stage's lanes found, and what there is to say beside."""
        ...

    async def concluded(self, analysis: Any, found: Sequence[Found]) -> tuple[JobStatus, str]:
        """Do what is to be done with the finished analysis, again if it was stopped in it; gives the status and what there is to say."""
        ...


async def _pause(span: timedelta) -> None:
    await asyncio.sleep(span.total_seconds())


@dataclass(frozen=True, slots=True)
class Means:
    """What a runner works with; ``turn`` lets one part of a process's steps be worked on at a time, ``loop`` is the loop's name.

    ``memory`` is of the chunks that steps of the process have read, and ``pause`` lets time pass.
    """

    loop: str
    log: Chunks
    files: WorkFiles
    queue: JobQueue
    configuration: LoopConfiguration
    clock: Clock
    turn: asyncio.Semaphore
    memory: ChunkMemory = field(default_factory=ChunkMemory)
    pause: Callable[[timedelta], Awaitable[None]] = _pause


@dataclass(frozen=True, slots=True)
class _Task:
    """A job at work: its record with the ETag it had, and the message."""

    analysis: Analysis
    etag: str
    message: Message

    @property
    def job(self) -> Job:
        return self.analysis.job


@dataclass(frozen=True, slots=True)
class _Next:
    """The next part of a lane's way: how many chunks it has at most, and what is ``told`` of each, if anything is."""

    chunks: int
    told: tuple[Chances | None, ...] = ()


@dataclass(slots=True)
class _Way:
    """A lane on its way over a stage's chunks, of which so many are ``done``; ``told`` is of those of the last part.

    ``settings`` are those of the rewards, as text, where other lanes go over the same chunks: they are remembered then.
    """

    lane: AnyLane
    names: Sequence[str]
    rewards: LoopSettings
    done: int
    left_out: list[str]
    settings: str = ""
    told: list[Chances | None] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether there is no need to go on."""
        return self.done == len(self.names) or self.lane.has_enough


class Runner:
    """Runs one loop's analyses; each call does one message's work."""

    def __init__(self, means: Means, methods: Mapping[JobKind, Method]) -> None:
        self._methods = methods
        self._loop = means.loop
        self._log = means.log
        self._files = means.files
        self._queue = means.queue
        self._configuration = means.configuration
        self._clock = means.clock
        self._turn = means.turn
        self._memory = means.memory
        self._pause = means.pause

    # --- from outside --------------------------------------------------------------------------------------------------

    async def start(self, kind: JobKind, job: Job) -> None:
        """Have a job begun soon; doing so again changes nothing. Raises `StorageUnavailableError`."""
        if kind in self._methods and not job.status.is_over:
            await self._queue.send(self._message(kind, job).written())

    async def drop(self, kind: JobKind, job: Job) -> None:
        """Delete all files of a job that was deleted; a step that is under way finds out by itself."""
        await self._clear(run_of(kind, job))
        if not job.status.is_over:
            await self._wake()

    async def found(self, kind: JobKind, job: Job) -> tuple[Found, ...]:
        """Give the sums of a job that is over; nothing if there are none. Raises `UnreadableError`."""
        stored = await self._files.read(f"{run_of(kind, job)}/report")
        return () if stored is None else await asyncio.to_thread(read_found, stored[0])

    async def learner(self, kind: JobKind, job: Job, policy: str) -> Begun | None:
        """Give the learner of a policy as it was when the job was over; None if it is not kept, or not all could be learned."""
        run = run_of(kind, job)
        board = await self._board(run)
        if board is None or not board.stage.is_over:
            return None
        lanes = [place for place, lane in enumerate(board.stage.lanes) if policy in [each.name for each in lane.contenders]]
        if not lanes:
            return None
        stored = await self._files.read(f"{run}/{lane_file(len(board.stages) - 1, lanes[0])}")
        standing = Standing() if stored is None else await asyncio.to_thread(Standing.read, stored[0])
        if not standing.state or standing.left_out:
            return None
        return Begun(standing.state, board.chunks[0], board.chunks[board.stage.last - 1], reward_settings(board.settings))

    async def handle(self, message: Message) -> None:
        """Do what the message says. Whatever is raised has it come again, and after the fifth time `give_up` is called."""
        task = await self._task(message)
        if task is None:
            return
        try:
            await self._do(task)
        except UnreadableError as error:
            await self._end(task, JobStatus.FAILED, str(error))
        except Exception as error:
            await self._note(message, error)
            raise

    async def give_up(self, message: Message) -> None:
        """End a job whose message could not be handled, with the reason that was noted last."""
        task = await self._task(message)
        if task is None:
            return
        noted = await self._files.read(f"{message.run}/error")
        reason = noted[0].decode() if noted else "a worker stopped without a message every time, for example because memory ran out"
        logger.error("job given up", extra={"loop": message.loop, "kind": message.kind})
        await self._end(task, JobStatus.FAILED, f"Given up after five tries: {reason}")

    async def sweep(self) -> None:
        """Send again what was lost between two calls, and delete what no analysis needs any more."""
        self._memory.forget()
        await self._wake()
        runs: dict[str, JobStatus] = {}
        for kind, method in self._methods.items():
            for listed in await method.store.listed():
                runs[run_of(kind, listed.job)] = listed.job.status
        places = await self._places()
        for place in places:
            if not (place.is_waiting and place.has_work) or has_turn(place, places):
                await self._revive(place.kind, place.job)
        await self._tidy(runs)

    # --- one message ---------------------------------------------------------------------------------------------------

    async def _task(self, message: Message) -> _Task | None:
        """Find the job that the message is of; None if it was deleted, or is over."""
        stored = await self._methods[message.kind].store.read(message.job_id)
        if stored is None or run_of(message.kind, stored[0].job) != message.run:
            await self._clear(message.run)
            return None
        return None if stored[0].job.status.is_over else _Task(*stored, message)

    async def _do(self, task: _Task) -> None:
        board = await self._board(task.message.run)
        if board is not None and self._clock.now() - max(board.begun, task.job.created_at) > LONGEST:
            hours = LONGEST // timedelta(hours=1)
            await self._end(task, JobStatus.TIMEOUT, f"It was not finished after {hours} hours. Try a shorter range, or fewer policies.")
        elif task.message.step == 0:
            await self._begin(task, board)
        else:
            await self._step(task, board)

    async def _begin(self, task: _Task, board: Board | None) -> None:
        """Plan the job, if that is not done yet and it has its turn, and send each lane off."""
        if board is None:
            chunks = in_range(await self._log.chain(), task.job)
            if not chunks:
                await self._nothing_yet(task)
                return
            if not await self._has_turn(task):
                return
            board = await self._planned(task, chunks)
        await self._tell(task, board)
        await self._send(task.message, board)

    async def _nothing_yet(self, task: _Task) -> None:
        watermark = await self._log.watermark()
        is_joined = watermark is not None and watermark >= wanted(task.job)
        if not is_joined and self._clock.now() - task.job.created_at < WAIT:
            await self._describe(task, "It waits until the first events of its range are joined with their rewards.")
            await self._queue.send(task.message.written(), after=WAIT_STEP)
            return
        await self._end(task, JobStatus.SUCCEEDED, "No event of this range is in the joined log.")

    async def _planned(self, task: _Task, chunks: Sequence[str]) -> Board:
        if len(chunks) > MOST_CHUNKS:
            raise UnreadableError(f"The range has {len(chunks)} chunks of the log, more than {MOST_CHUNKS}: try a shorter one.")
        loop, method = await asyncio.to_thread(self._configuration.read), self._methods[task.message.kind]
        sample = await self._sample(chunks) if method.wants_sample(task.analysis) else ()
        watermark = await self._log.watermark()
        features = features_of(sample, most=MOST_FEATURES)
        board = Board(
            chunks=tuple(chunks),
            settings=settings_text(loop),
            exploration_percentage=loop.exploration_percentage,
            stages=(method.first(task.analysis, chunks, loop, sample),),
            minutes=finest(task.job.until - task.job.since),
            features=tuple(features),
            missing_from=watermark if watermark is not None and watermark < wanted(task.job) else None,
            begun=self._clock.now(),
        )
        try:
            await self._files.replace(f"{task.message.run}/board", board.written(), expected=None)
        except ConflictError:
            logger.info("another worker planned it first", extra={"job": task.job.id})
        return await self._board(task.message.run) or board

    async def _sample(self, chunks: Sequence[str]) -> Sequence[JoinedEvent]:
        """Read the first events of the range, or of its first chunk that can be read."""
        for name in chunks:
            try:
                return await asyncio.to_thread(sampled, await self._log.chunk(name))
            except UnreadableError as error:
                logger.warning("no sample could be taken of a chunk: %s", error, extra={"chunk": name})
        return ()

    async def _step(self, task: _Task, board: Board | None) -> None:
        message = task.message
        if board is None:
            raise UnreadableError("The plan of this analysis is not there any more.")
        current = len(board.stages) - 1
        if message.stage != current:
            if message.stage == current - 1:  # whoever planned the next stage may have died before all were sent off
                await self._send(message, board, beginning=True)
            return
        standing, etag = await self._standing(message)
        if standing.step not in (message.step - 1, message.step):
            return  # passed on already
        if standing.step == message.step - 1 and not standing.is_over:
            further = await self._further(board, message, standing)
            if further is None:
                await self._queue.send(message.written(), after=BEHIND)
                return
            standing = further
            try:
                await self._files.replace(_lane(message), standing.written(), expected=etag)
            except ConflictError:
                return  # another worker did the same, and passes it on
        progress = Progress(standing.step, standing.chunks, standing.is_over, self._clock.now())
        board, board_etag = await self._noted(message, progress)
        await self._tell(task, board)
        if not standing.is_over:
            await self._queue.send(replace(message, step=message.step + 1).written())
        elif board.stage.is_over and len(board.stages) - 1 == message.stage:
            await self._advance(task, board, board_etag)

    async def _further(self, board: Board, message: Message, standing: Standing) -> Standing | None:
        """Take a lane on, part by part, as far as one step goes. One chunk's events at a time are in memory.

        Gives nothing if it has come as far as the lane that values the present policy, which it compares with.
        """
        stage, done = board.stages[message.stage], standing.chunks
        plan, names = stage.lanes[message.lane], board.chunks[stage.first : stage.last]
        part = await self._part_soon(stage, message, done)
        if part is None:
            return None
        if not standing.step and plan.begins:
            began_as = await self._before(f"{message.run}/{plan.begins}")
            standing = replace(standing, state=began_as.state, left_out=began_as.left_out)
        lane = await asyncio.to_thread(standing.lane, board.lineup(message.stage, message.lane))
        is_shared = len(stage.lanes) > 1 and isinstance(lane, Lane)
        settings = board.settings if is_shared else ""
        way = _Way(lane, names, reward_settings(board.settings), done, list(standing.left_out), settings)
        self._memory.begin_step()
        before, began = lane.counts.events, self._clock.now()
        while part is not None and not way.is_over:
            async with self._turn:
                await self._take_part(way, part)
            if stage.telling == message.lane:
                await self._tell_of(Part(tuple(way.told)), f"{message.run}/{part_file(message.stage, done)}")
            done = way.done
            is_enough = lane.counts.events - before >= STEP_EVENTS or done - standing.chunks >= STEP_CHUNKS
            if is_enough or self._clock.now() - began >= STEP_TIME:
                break
            part = await self._part_soon(stage, message, done)
        facts = {"job": message.job_id, "lane": message.lane, "step": message.step, "chunks": done, "events": lane.counts.events}
        logger.info("step of an analysis done", extra=facts)
        return await asyncio.to_thread(
            lambda: Standing.of(lane, step=message.step, chunks=done, is_over=way.is_over, left_out=tuple(way.left_out))
        )

    async def _part_soon(self, stage: Stage, message: Message, first: int) -> "_Next | None":
        """Give the next part of a lane's way, if it is known soon. It has no turn meanwhile: the lane that tells may need it."""
        if first >= stage.last - stage.first:
            return _Next(0)
        for look in range(LOOKS):
            part = await self._part(stage, message, first)
            if part is not None:
                return part
            if look < LOOKS - 1:
                await self._pause(LOOK)
        return None

    async def _part(self, stage: Stage, message: Message, first: int) -> "_Next | None":
        """Give what there is to know of the next part of a lane's way; None while that cannot be known yet.

        What was not told, although the other lane is further, never will be: an earlier release took that there.
        """
        telling = stage.telling
        if telling is None or not stage.lanes[message.lane].beside_present:
            return _Next(PART_CHUNKS if telling == message.lane else 1)
        stored = await self._files.read(f"{message.run}/{part_file(message.stage, first)}")
        if stored is not None:
            told = (await asyncio.to_thread(Part.read, stored[0])).chunks
            return _Next(len(told), told)
        return _Next(1) if stage.progress[telling].chunks > first else None

    async def _take_part(self, way: "_Way", part: "_Next") -> None:
        """Take a lane over the chunks of a part."""
        last, enough = min(way.done + part.chunks, len(way.names)), way.lane.counts.events + PART_EVENTS
        way.told = []
        for place in range(last - way.done):
            if part.told and part.told[place] is None:
                way.left_out.append(way.names[way.done])
            else:
                await self._take(way, part.told[place] if part.told else None)
            way.done += 1
            if way.lane.has_enough or (not part.told and way.lane.counts.events >= enough):
                break

    async def _take(self, way: "_Way", present: Chances | None) -> None:
        """Take a lane over one chunk, if that can be used; raises `UnreadableError` for one that is not there any more."""
        name = way.names[way.done]
        try:
            with collector_at_rest():
                way.told.append(await self._taken(way, name, present))
        except UnreadableError as error:
            if await self._log.parent(name) is None:
                raise UnreadableError(f"A part of the log is not there any more: {name}. It was deleted, or kept no longer.") from error
            logger.error("a chunk is left out of an analysis: %s", error, extra={"chunk": name})
            way.told.append(None)
            way.left_out.append(name)

    async def _taken(self, way: "_Way", name: str, present: Chances | None) -> Chances | None:
        """Take a lane over a chunk as it is remembered, or else as it is read."""
        if not isinstance(way.lane, Lane) or not way.settings:
            return await asyncio.to_thread(take, way.lane, await self._log.chunk(name), way.rewards, present)
        key = ChunkKey(self._loop, name, way.settings)
        known = self._memory.known(key)
        if known is None:
            text = await self._log.chunk(name)
            noted = self._memory.noting(key, (rejoin(event, way.rewards) for event in read_lines(text)))
            return await asyncio.to_thread(way.lane.take_logged, noted, present)
        parent, told = await together(self._log.parent(name), asyncio.to_thread(way.lane.take_logged, known, present))
        if parent is None:
            raise UnreadableError(f"chunk {name} is remembered, but not there any more")
        return told

    async def _tell_of(self, part: Part, name: str) -> None:
        """Tell the other lanes of a part; whoever did the same step before told the same."""
        try:
            await self._files.replace(name, await asyncio.to_thread(part.written), expected=None)
        except ConflictError:
            logger.info("another worker told of a part first", extra={"part": name})

    async def _advance(self, task: _Task, board: Board, etag: str) -> None:
        """Go on to the next stage, or to the end."""
        message, method = task.message, self._methods[task.message.kind]
        standings = [await self._standing(replace(message, lane=lane)) for lane in range(len(board.stage.lanes))]
        found = [standing.found(plan.contenders) for (standing, _), plan in zip(standings, board.stage.lanes, strict=True)]
        following = await asyncio.to_thread(method.following, task.analysis, board, found)
        if following is not None:
            board = replace(board, stages=(*board.stages, following))
            try:
                await self._files.replace(f"{message.run}/board", board.written(), expected=etag)
            except ConflictError:
                return  # another worker planned it, and sends it off
            await self._send(message, board)
            return
        left_out = {name for standing, _ in standings for name in standing.left_out}
        await self._finish(task, board, found, left_out)

    async def _finish(self, task: _Task, board: Board, found: Sequence[Found], left_out: set[str]) -> None:
        """Keep the sums, and write the result."""
        self._memory.forget()
        try:
            await self._files.replace(f"{task.message.run}/report", await asyncio.to_thread(write_found, tuple(found)), expected=None)
        except ConflictError:
            logger.info("another worker kept the sums first", extra={"job": task.job.id})
        notes = []
        if left_out:
            notes.append(f"{len(left_out)} of {len(board.chunks)} chunks of the log could not be read and are left out.")
        if board.missing_from is not None:
            notes.append(f"Decisions after {board.missing_from:%Y-%m-%d %H:%M:%S} UTC had not been joined with their rewards yet.")
        method = self._methods[task.message.kind]
        analysis, told = await asyncio.to_thread(method.finished, task.analysis, board, found)
        status, reason = await method.concluded(analysis, found)
        text = " ".join([*([reason] if reason else []), *told, *notes])
        await self._edit(task, lambda _: _with_job(analysis, status, text))
        await self._wake()
        await self._clear(task.message.run, keep=last_of(board))

    # --- whose turn it is ----------------------------------------------------------------------------------------------

    async def _has_turn(self, task: _Task) -> bool:
        """Tell whether a job may begin; one that may not is noted to wait, and woken when another ends."""
        message, noted = task.message, f"{task.message.run}/{WAITS}"
        if await self._is_next(message):
            return True
        try:
            await self._files.replace(noted, b"", expected=None)
        except ConflictError:
            logger.info("it waits already", extra={"job": message.job_id})
        await self._describe(task, f"It waits for its turn. A loop runs {TURNS} analyses at the same time.")
        if not await self._is_next(message):
            return False
        await self._files.delete(noted)  # another ended meanwhile, and may not have seen that this one waits
        return True

    async def _is_next(self, message: Message) -> bool:
        places = await self._places()
        mine = [each for each in places if run_of(each.kind, each.job) == message.run]
        return all(has_turn(each, places) for each in mine)

    async def _wake(self) -> None:
        """Have those begun that wait and whose turn has come; what cannot be done now, the next sweep does."""
        try:
            places = await self._places()
            for place in places:
                if place.is_waiting and has_turn(place, places):
                    await self._wake_one(self._message(place.kind, place.job))
        except (UnavailableError, UnreadableError) as error:
            logger.warning("evaluations that wait for their turn are not started for now: %s", error)

    async def _wake_one(self, message: Message) -> None:
        if await self._files.read(f"{message.run}/{WAITS}") is not None:
            await self._queue.send(message.written())
            await self._files.delete(f"{message.run}/{WAITS}")

    async def _places(self) -> list[Place]:
        """List all analyses that are not over."""
        found = [(kind, each) for kind, method in self._methods.items() for each in await method.store.listed()]
        left = [(kind, each) for kind, each in found if not each.job.status.is_over]
        if not any(each.job.status is JobStatus.NOT_SUBMITTED for _, each in left):
            return [Place.of(kind, each, logged=None) for kind, each in left]
        logged = _logged(await self._log.chain())
        return [Place.of(kind, each, logged=logged) for kind, each in left]

    def _message(self, kind: JobKind, job: Job) -> Message:
        return Message(self._loop, kind, job.id, run_of(kind, job))

    # --- the record ----------------------------------------------------------------------------------------------------

    async def _end(self, task: _Task, status: JobStatus, description: str) -> None:
        """End the job without a result."""
        self._memory.forget()
        await self._edit(task, lambda analysis: _with_job(analysis, status, description))
        await self._wake()
        await self._clear(task.message.run)
        logger.warning("an analysis ended without a result", extra={"job": task.job.id, "status": status, "reason": description})

    async def _edit(self, task: _Task, change: Callable[[Any], Any]) -> None:
        """Change the record, unless it is gone or over."""
        store = self._methods[task.message.kind].store
        for _ in range(_ATTEMPTS):
            again = await self._task(task.message)
            if again is None:
                return
            try:
                await store.replace(change(again.analysis), expected=again.etag)
            except ConflictError:
                continue
            return
        raise BusyError("others kept changing the record of an analysis")

    async def _tell(self, task: _Task, board: Board) -> None:
        await self._describe(task, f"Under way: {board.told()}.", status=JobStatus.RUNNING)

    async def _describe(self, task: _Task, text: str, *, status: JobStatus = JobStatus.NOT_SUBMITTED) -> None:
        """Show how far it is; that is no matter to fail for, or to try twice."""
        changed = _with_job(task.analysis, status, text)
        if changed == task.analysis:
            return
        try:
            await self._methods[task.message.kind].store.replace(changed, expected=task.etag)
        except (ConflictError, UnavailableError):
            logger.info("progress is not shown this time", extra={"job": task.job.id})

    async def _note(self, message: Message, error: Exception) -> None:
        """Note why a message could not be handled, for whoever gives up at last."""
        reason = str(error) if isinstance(error, PersonalizerError) else type(error).__name__
        try:
            stored = await self._files.read(f"{message.run}/error")
            await self._files.replace(f"{message.run}/error", reason.encode(), expected=stored[1] if stored else None)
        except (ConflictError, UnavailableError):
            logger.info("the reason of a failure could not be noted", extra={"reason": reason})

    # --- files ---------------------------------------------------------------------------------------------------------

    async def _board(self, run: str) -> Board | None:
        stored = await self._files.read(f"{run}/board")
        return None if stored is None else Board.read(stored[0])

    async def _noted(self, message: Message, progress: Progress) -> tuple[Board, str]:
        """Note a lane's progress on the board, and give the board and its ETag."""
        for _ in range(_ATTEMPTS):
            stored = await self._files.read(f"{message.run}/board")
            if stored is None:
                raise UnreadableError("The plan of this analysis is not there any more.")
            known = Board.read(stored[0])
            board = known.after(message.stage, message.lane, progress)
            if board is known:
                return board, stored[1]
            try:
                return board, await self._files.replace(f"{message.run}/board", board.written(), expected=stored[1])
            except ConflictError:
                continue
        raise BusyError("others kept noting their progress")

    async def _standing(self, message: Message) -> tuple[Standing, str | None]:
        stored = await self._files.read(_lane(message))
        if stored is None:
            return Standing(), None
        return await asyncio.to_thread(Standing.read, stored[0]), stored[1]

    async def _before(self, name: str) -> Standing:
        stored = await self._files.read(name)
        if stored is None:
            raise UnreadableError("A lane of this analysis is not there any more.")
        return await asyncio.to_thread(Standing.read, stored[0])

    async def _send(self, message: Message, board: Board, *, beginning: bool = False) -> None:
        """Send each lane of the present stage that is not over its next message, or only those that have not begun."""
        stage = len(board.stages) - 1
        for lane, progress in enumerate(board.stage.progress):
            if not progress.is_over and not (beginning and progress.step):
                await self._queue.send(replace(message, stage=stage, lane=lane, step=progress.step + 1).written())

    async def _clear(self, run: str, *, keep: Sequence[str] = ()) -> None:
        for name in await self._files.listed(f"{run}/"):
            if name.partition("/")[2] not in keep:
                await self._files.delete(name)

    # --- what was lost, and what is left -------------------------------------------------------------------------------

    async def _revive(self, kind: JobKind, job: Job) -> None:
        """Send a job's messages again if it has not moved for long."""
        message = self._message(kind, job)
        board, limit = await self._board(message.run), self._clock.now() - STALE
        if board is None:
            if job.created_at < limit:
                await self._queue.send(message.written())
            return
        stage, waiting = len(board.stages) - 1, [*enumerate(board.stage.progress)]
        if all(progress.at < limit for _, progress in waiting) and job.created_at < limit:
            for lane, progress in waiting:
                step = progress.step if progress.is_over else progress.step + 1
                await self._queue.send(replace(message, stage=stage, lane=lane, step=step).written())

    async def _tidy(self, runs: Mapping[str, JobStatus]) -> None:
        """Delete files of runs that have no record, and learners that were kept long enough."""
        limit = self._clock.now() - KEPT
        for name, at in (await self._files.listed()).items():
            run, _, file = name.partition("/")
            is_orphan = run not in runs and at < self._clock.now() - STALE
            is_expired = run in runs and runs[run].is_over and file.startswith("lane-") and at < limit
            if is_orphan or is_expired:
                await self._files.delete(name)


# --- rules -------------------------------------------------------------------------------------------------------------


def in_range(chain: Sequence[str], job: Job) -> list[str]:
    """Give the chunks that may hold decisions of the job's range."""
    parsed = [(name, ChunkName.parse(name)) for name in chain]
    return [name for name, each in parsed if each.until > job.since and each.since < later(job.until, SEALING)]


def _logged(chain: Sequence[str]) -> tuple[datetime, datetime] | None:
    """Give the range of all chunks; that of a job goes as far beyond as decisions are older than what holds them."""
    if not chain:
        return None
    return earlier(ChunkName.parse(chain[0]).since, SEALING), ChunkName.parse(chain[-1]).until


def wanted(job: Job) -> datetime:
    """Give the time up to which decisions have to be joined for all of the range to be there."""
    return min(job.until, job.created_at)


def finest(span: timedelta) -> int:
    """Give how many minutes the finest buckets last, so that there are not too many of them.

    >>> [finest(timedelta(days=days)) for days in (7, 30, 365)]
    [5, 60, 360]
    """
    return next((each for each in INTERVALS if span <= MOST_BUCKETS * timedelta(minutes=each)), INTERVALS[-1])


def sampled(text: bytes) -> list[JoinedEvent]:
    """Read a chunk's first events, at least one; raises `UnreadableError`."""
    events: list[JoinedEvent] = []
    size = 0
    for event in read_lines(text):
        events.append(event)
        size += len(event.decision.situation)
        if len(events) >= SAMPLE or size >= SAMPLE_BYTES:
            break
    return events


def take(lane: AnyLane, text: bytes, rewards: LoopSettings, present: Chances | None = None) -> Chances | None:
    """Take a lane over a chunk's lines under these reward settings; raises `UnreadableError`, and then nothing has changed.

    ``present``, and what it gives, are as in `shared.services.analysis.lane.Lane.take`.
    """
    return lane.take((rejoin(event, rewards) for event in read_lines(text)), present)


def last_of(board: Board) -> list[str]:
    """Name the files that stay when a run is over: the plan, the sums, and the lanes of the last stage whose learner may be put online."""
    stage = len(board.stages) - 1
    learned = [place for place, lane in enumerate(board.stage.lanes) if lane.contenders and not lane.values_kept]
    return ["board", "report", *[lane_file(stage, place) for place in learned]]


def _lane(message: Message) -> str:
    return f"{message.run}/{lane_file(message.stage, message.lane)}"


def _with_job(analysis: Any, status: JobStatus, description: str) -> Any:
    return replace(analysis, job=replace(analysis.job, status=status, description=description))
