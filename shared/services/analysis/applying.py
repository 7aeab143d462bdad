"""A policy of an evaluation put to use, with the model that it had learned."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from shared.domain.errors import ConflictError, GateNotPassedError
from shared.domain.evaluation import PRESENT, Evaluation, Job, JobKind, Report, Verdict
from shared.domain.gates import BROKEN, KEPT, Check, Gate, Ruling
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.ports import ModelStore
from shared.learning.arguments import parse_arguments
from shared.services.analysis.gates import not_told, ruling
from shared.services.serving.model_server import Refreshable
from shared.services.training.retraining import Begun, Retrainer

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 8

_CHANGED: Final = Check(
    PRESENT, "it has to be the policy that was compared", "the loop has had another one since this evaluation was asked for", is_kept=False
)


class Kept(Protocol):
    """The evaluations of the loop: `shared.services.analysis.evaluations.Evaluations`."""

    async def read(self, job_id: str) -> Evaluation:
        """Give the evaluation of this id."""
        ...

    async def policy(self, job_id: str, name: str) -> LearningPolicy:
        """Give a policy of an evaluation that a loop can be served by."""
        ...

    async def reported(self, job_id: str) -> tuple[Sequence[Report], Verdict | None]:
        """Say all there is to say of each policy of an evaluation; nothing before it is over."""
        ...


class Learners(Protocol):
    """What evaluations have learned: `shared.services.analysis.running.Runner`."""

    async def learner(self, kind: JobKind, job: Job, policy: str) -> Begun | None:
        """Give the learner of a policy, if it is kept."""
        ...


class Settings(Protocol):
    """The loop's settings: `shared.services.loops.configuring.Configurator`."""

    async def read(self) -> LoopSettings:
        """Give the settings in force."""
        ...

    async def set_policy(self, policy: LearningPolicy) -> LearningPolicy:
        """Explore by this policy from now on."""
        ...


class Applier:
    """Puts policies of one loop's evaluations to use."""

    def __init__(
        self, evaluations: Kept, learners: Learners, settings: Settings, store: ModelStore, retrainer: Retrainer, served: Refreshable
    ) -> None:
        self._evaluations = evaluations
        self._learners = learners
        self._settings = settings
        self._store = store
        self._retrainer = retrainer
        self._served = served

    async def apply(self, job_id: str, name: str, gate: Gate | None = None) -> None:
        """Make a policy the loop's own, if it passes the gate; one that learns from other features than that of now comes with its model.

        Where its model is not kept, or cannot be gone on with, the trainer begins one anew, as after any such change of policy. One that
        learns from the same features has the model that is served already. Raises as `Evaluations.policy` and `Configurator.set_policy`,
        and `GateNotPassedError`.
        """
        evaluation, policy = await self._evaluations.read(job_id), await self._evaluations.policy(job_id, name)
        if gate is not None:
            await self._check(gate, evaluation, name, policy)
        await self._put(evaluation.job, policy)

    async def _check(self, gate: Gate, evaluation: Evaluation, name: str, policy: LearningPolicy) -> None:
        """Raise `GateNotPassedError` unless it is passed; a repeated request finds the policy itself in force, and passes again."""
        reports = (await self._evaluations.reported(evaluation.job.id))[0]
        reason = not_told(evaluation.job, reports)
        ruled = ruling(gate, reports, name) if reason is None else Ruling(name, [reason])
        present = (await self._settings.read()).policy.arguments
        if gate.compared_with in ("", PRESENT) and present not in (evaluation.online.arguments, policy.arguments):
            ruled = replace(ruled, checks=[*ruled.checks, _CHANGED])
        if not ruled.is_passed:
            checks = [(KEPT if each.is_kept else BROKEN, f"{each.rule}: {each.asked}; {each.found}.") for each in ruled.checks]
            raise GateNotPassedError(ruled.sentence, checks=checks)

    async def promote(self, evaluation: Evaluation, name: str) -> bool:
        """Put a policy of an automatic evaluation to use, and tell whether that could be; doing so again changes nothing.

        It cannot be when somebody has changed the loop's policy since, or has switched automatic optimisation off.
        """
        policy, loop = evaluation.policy(name), await self._settings.read()
        if policy is None or not loop.is_auto_optimization_enabled or loop.policy not in (evaluation.online, policy):
            return False
        await self._put(evaluation.job, policy)
        return True

    async def _put(self, job: Job, policy: LearningPolicy) -> None:
        before, begun = (await self._settings.read()).policy, None
        if parse_arguments(policy.arguments).interactions != parse_arguments(before.arguments).interactions:
            begun = await self._learners.learner(JobKind.EVALUATION, job, policy.name)
        await self._settings.set_policy(policy)
        if begun is not None:
            await self._publish(begun)

    async def _publish(self, begun: Begun) -> None:
        for _ in range(_ATTEMPTS):
            stored, loop = await self._store.pointer(), await self._settings.read()
            if stored is None:
                return
            try:
                if await self._retrainer.go_on(begun, *stored, loop) is None:
                    logger.info("the trainer cannot continue with the model of an evaluation: it retrains the model")
            except ConflictError:
                continue
            await asyncio.to_thread(self._served.refresh)
            return
        logger.warning("others kept committing: the trainer retrains the model")
