"""Analyses of the log: who asks for them, who works on them, and who puts policies to use that they found."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.assembly.process import Common
    from shared.runtime.loop_services import LoopServices
    from shared.services.analysis.applying import Applier
    from shared.services.analysis.chunk_memory import ChunkMemory
    from shared.services.analysis.evaluations import Evaluations, FeatureImportances, LogBreakdowns
    from shared.services.analysis.optimizing import Optimizer
    from shared.services.analysis.running import Runner
    from shared.services.analysis.scheduling import Schedules


def build_evaluations(loop: "LoopServices") -> "Evaluations":
    """Give what takes requests for evaluations and reads their results."""
    from shared.services.analysis.evaluations import Evaluations
    from shared.storage.evaluation_store import evaluation_store

    store, shared = evaluation_store(loop.storage, loop=loop.place), loop.common.shared
    return Evaluations(store, loop.logs, loop.analyses, clock=loop.clock, place=loop.place, shared=shared)


def build_importances(loop: "LoopServices") -> "FeatureImportances":
    """Give what takes requests for feature importances and reads their results."""
    from shared.services.analysis.evaluations import FeatureImportances
    from shared.storage.evaluation_store import importance_store

    return FeatureImportances(importance_store(loop.storage, loop=loop.place), loop.logs, loop.analyses, clock=loop.clock)


def build_log_breakdowns(loop: "LoopServices") -> "LogBreakdowns":
    """Give what takes requests for breakdowns from the log and reads their results."""
    from shared.services.analysis.evaluations import LogBreakdowns
    from shared.storage.evaluation_store import breakdown_store

    return LogBreakdowns(breakdown_store(loop.storage, loop=loop.place), loop.logs, loop.analyses, clock=loop.clock)


def build_analyses(loop: "LoopServices") -> "Runner":
    """Give what does the steps of all of them."""
    from shared.domain.evaluation import JobKind
    from shared.services.analysis.counting import Counting
    from shared.services.analysis.evaluating import Evaluating
    from shared.services.analysis.running import Means, Runner
    from shared.services.analysis.weighing import Weighing
    from shared.storage.evaluation_store import breakdown_store, evaluation_store, importance_store
    from shared.storage.work_files import StoredWorkFiles

    common, storage, place = loop.common, loop.storage, loop.place
    files = StoredWorkFiles(storage, loop=place)
    means = Means(loop.record.name, loop.joined, files, common.jobs, loop.configuration, loop.clock, common.turn, common.chunks)
    evaluating = Evaluating(evaluation_store(storage, loop=place), lambda analysis, name: loop.applier.promote(analysis, name))
    weighing = Weighing(importance_store(storage, loop=place))
    counting = Counting(breakdown_store(storage, loop=place))
    return Runner(means, {JobKind.EVALUATION: evaluating, JobKind.IMPORTANCE: weighing, JobKind.BREAKDOWN: counting})


def build_chunk_memory(common: "Common") -> "ChunkMemory":
    """Give the memory of chunks that lanes of all loops go over, with a small part of the process's memory."""
    from shared.services.analysis.chunk_memory import ROOM, ChunkMemory

    return ChunkMemory(room=min(ROOM, common.settings.memory // 32))


def build_applier(loop: "LoopServices") -> "Applier":
    """Give what puts policies of evaluations to use."""
    from shared.services.analysis.applying import Applier

    return Applier(loop.evaluations, loop.analyses, loop.configurator, loop.store, loop.retrainer, loop.models)


def build_optimizer(loop: "LoopServices") -> "Optimizer":
    """Give automatic optimisation."""
    from shared.services.analysis.optimizing import Optimizer

    return Optimizer(loop.evaluations, loop.configurator, loop.joined, loop.store, clock=loop.clock)


def build_schedules(loop: "LoopServices") -> "Schedules":
    """Give what asks for evaluations again and again."""
    from shared.services.analysis.scheduling import Schedules
    from shared.storage.schedule_store import FileScheduleStore

    store = FileScheduleStore.of(loop.storage, loop=loop.place)
    return Schedules(loop.record.name, store, loop.evaluations, loop.configurator, loop.joined, clock=loop.clock)
