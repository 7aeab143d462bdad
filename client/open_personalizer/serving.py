"""What is decided by: model and settings, asked for again and again by a thread."""

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from open_personalizer.wire import Answer, Wire, WireError, model_bytes
from shared.domain.errors import PersonalizerError
from shared.domain.events import LearningMode
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopSettings
from shared.learning import artifact
from shared.learning.arguments import PolicyArguments, parse_arguments
from shared.learning.model import Model

logger = logging.getLogger("open_personalizer")

ALGORITHM: Final = 1
"""The number of the algorithm that this package decides by."""

_SETTINGS: Final = frozenset({"learningMode", "apprenticeLearning", "explorationPercentage", "policyArguments", "holdoutPercentage"})
"""What decisions depend on, all of which has to be known to decide as the service does."""

_FIRST_WAIT: Final = 0.25
_SHORTEST, _LONGEST = 0.05, 3600.0


@dataclass(frozen=True, slots=True)
class Basis:
    """What decisions are made by, swapped as a whole; without a ``ticket`` nothing is known yet, and all actions are equally likely."""

    settings: LoopSettings
    version: str = ""
    model: Model = field(default_factory=Model.cold)
    arguments: PolicyArguments = field(default_factory=PolicyArguments)
    ticket: str | None = None
    tag: str | None = None
    poll_seconds: float = 10.0


class Feed:
    """Keeps the basis up to date. A look that fails leaves it as it was, and is told in ``error``."""

    def __init__(self, wire: Wire, basis: Basis, *, poll_seconds: float | None = None) -> None:
        self._wire = wire
        self._poll_seconds = poll_seconds
        self.basis = basis
        self.error: str | None = None
        self.looked_at: float | None = None
        self._has_basis = threading.Event()
        if basis.ticket is not None:
            self._has_basis.set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="open-personalizer-model", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wait(self, timeout: float | None) -> bool:
        """Wait for the first answer; tells whether there is one."""
        return self._has_basis.wait(timeout)

    def look(self) -> float:
        """Look once; gives the seconds that the service asks to wait before the next look."""
        try:
            answer = self._wire.serving(self.basis.tag)
            if answer.status not in {200, 304}:
                raise WireError(answer.told, retry_after=answer.retry_after)
            if answer.status == 200:
                self.basis = _read(answer)
                logger.info("model %r of loop %r", self.basis.version, self.basis.settings.name)
            self.error, self.looked_at = None, time.monotonic()
            self._has_basis.set()
        except (PersonalizerError, ValueError, KeyError, TypeError) as error:
            return self._failed(error)
        return 0.0

    @property
    def _interval(self) -> float:
        return min(max(self._poll_seconds or self.basis.poll_seconds, _SHORTEST), _LONGEST)

    def _failed(self, error: Exception) -> float:
        told = str(error) if isinstance(error, PersonalizerError) else f"an answer that cannot be read ({type(error).__name__}: {error})"
        if told != self.error:
            logger.warning("the model cannot be read; what is known is used on: %s", told)
        self.error = told
        return error.retry_after if isinstance(error, WireError) else 0.0

    def _run(self) -> None:
        first_wait = _FIRST_WAIT
        while not self._stopping.is_set():
            asked = self._guarded()
            pause = self._interval
            if self.basis.ticket is None:  # the first answer is urgent
                pause, first_wait = min(first_wait, pause), first_wait * 2
            self._stopping.wait(max(pause * random.uniform(0.9, 1.1), asked))

    def _guarded(self) -> float:
        try:
            return self.look()
        except Exception as error:  # noqa: BLE001 - it is told, and the thread has to live on
            return self._failed(error)


def _read(answer: Answer) -> Basis:
    body: Any = answer.json
    if not isinstance(body, dict):
        raise WireError("the answer of the service is no JSON object")
    if body.get("algorithm") != ALGORITHM:
        raise WireError(f"the service decides by algorithm {body.get('algorithm')!r}; this client knows {ALGORITHM}: install a newer one")
    if not all(isinstance(body[name], str) for name in ("loop", "modelVersion", "ticket")):
        raise WireError("the answer of the service names no loop, no version or no ticket")
    poll_seconds = float(body["pollSeconds"])
    if not isfinite(poll_seconds):
        raise WireError(f"the service asks to be asked again after {poll_seconds} seconds")
    given = body["settings"]
    if unknown := given.keys() - _SETTINGS:
        raise WireError(f"decisions depend on {', '.join(sorted(unknown))}, which this client does not know: install a newer one")
    settings = LoopSettings(
        name=body["loop"],
        learning_mode=LearningMode(given["learningMode"]),
        apprentice_learning=ApprenticeLearning(given["apprenticeLearning"]),
        exploration_percentage=float(given["explorationPercentage"]),
        holdout_percentage=float(given.get("holdoutPercentage", 0.0)),
        policy=LearningPolicy(arguments=given["policyArguments"]),
    )
    data = model_bytes(body["model"])
    model = Model.cold() if data is None else artifact.load_model(data)
    if not model.is_prepared:
        model.prepare()
    return Basis(
        settings=settings,
        version=body["modelVersion"],
        model=model,
        arguments=parse_arguments(settings.policy.arguments),
        ticket=body["ticket"],
        tag=answer.headers.get("ETag"),
        poll_seconds=poll_seconds,
    )
