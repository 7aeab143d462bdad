"""GET status on the wire."""

from shared.api.wire import WireModel


class CountersBody(WireModel):
    """The results of all logged events; ``ranked`` = ``learned`` + all ``skipped`` + ``pending``."""

    ranked: int
    learned: int
    skipped: dict[str, int]
    pending: int
    rewards: int
    late_rewards: int
    unknown_rewards: int
    stragglers: int
    forgotten_rewards: int
    repeated_rewards: int


class ApprenticeBody(WireModel):
    """How the policy would have done in the baseline's place, over the latest events of Apprentice mode, of which there are some."""

    number_of_events: int
    number_of_imitated_events: int
    sum_of_rewards: float
    sum_of_imitated_rewards: float
    baseline_average_reward: float
    personalizer_average_reward: float
    achievement_ratio: float | None


class AdviceBody(WireModel):
    """A problem that may keep the loop from learning, or data that should not be sent. ``feature`` names the feature, if there is one."""

    code: str
    message: str
    feature: str | None


class AnewBody(WireModel):
    """The progress of a retraining: chunks of the joined log, and the events that were learned from them.

    ``chunks`` is the number that was known when they were last counted, 0 while the trainer has not begun, when ``begunAt`` is null.
    """

    chunks: int
    chunks_done: int
    chunks_left_out: int
    learned: int
    begun_at: str | None


class MirrorBody(WireModel):
    """How the copy of the log in the owner's container is; ``error`` says why nothing is copied, ``nextTryAt`` null: with the next run."""

    state: str
    last_success_at: str | None
    error: str | None
    next_try_at: str | None


class UploadsBody(WireModel):
    """The decisions of clients that the answering process verified since it started; ``refused`` counts lines by their code."""

    stored: int
    repeated: int
    refused: dict[str, int]


class LoopProgressBody(WireModel):
    """How far a loop has come. ``modelVersion`` is what the answering process serves, ``publishedModelLearned`` is of the newest.

    ``counters`` are of the loop's own events. ``importedEvents`` others were taken into its log, and models learn both. ``uploads`` is null
    while the process was sent none.
    """

    name: str
    learning_mode: str
    reward_wait_time: str
    model_version: str | None
    model_age_seconds: float | None
    published_model_version: str | None
    published_model_learned: int | None
    watermark: str | None
    lag_seconds: float | None
    counters: CountersBody | None
    imported_events: int | None
    apprentice: ApprenticeBody | None
    anew: AnewBody | None
    mirror: MirrorBody | None
    advice: list[AdviceBody] | None
    uploads: UploadsBody | None
    error: str | None


class StatusResponse(WireModel):
    """Liveness for anyone; with a key, the loop's progress."""

    service: str
    api_status: str
    api_status_message: str
    loop: LoopProgressBody | None = None

    def to_wire(self) -> bytes:
        """Write as JSON; what is not known of a loop is null, and without a key there is no loop."""
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()
