"""The error tree: facts about what went wrong, never status codes (shared/runtime/failures.py maps those)."""

from collections.abc import Sequence
from datetime import timedelta


class PersonalizerError(Exception):
    """Anything this project raises on purpose; its text may be shown to the caller."""


# --- the caller's mistakes -------------------------------------------------------------------------------------------


class RequestError(PersonalizerError):
    """The request cannot be served as it stands; nothing was logged.

    ``target`` names the offending field in the request's own spelling, e.g. ``actions[3].id``.
    """

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.target = target


class InvalidRankRequestError(RequestError):
    """A Rank body that breaks a rule of the contract."""


class InvalidRewardRequestError(RequestError):
    """A Reward body that breaks a rule of the contract."""


class InvalidEventIdToActivateError(RequestError):
    """An Activate call whose event id cannot be one."""


class InvalidPolicyConfigurationError(RequestError):
    """A learning policy whose arguments are not supported; the text names the option."""


class InvalidPolicyContractError(RequestError):
    """A learning policy that lacks its name or arguments, or has them too long."""


class InvalidConfigurationError(RequestError):
    """A service configuration that breaks a rule of the contract."""


class InvalidLearningModeChangeError(RequestError):
    """A change of the learning mode together with a change of what rewards are: these take two calls."""


class InvalidRewardWaitTimeError(RequestError):
    """A reward wait time out of its range."""


class InvalidLogRetentionDaysError(RequestError):
    """A retention that is shorter than what the reward wait time needs."""


class InvalidModelRetrainDaysError(RequestError):
    """More days to learn again from than the log is kept."""


class InvalidSasUriError(RequestError):
    """An address that logs cannot be mirrored to."""


class InvalidContainerError(InvalidSasUriError):
    """The same, under the name that the versions of the path have for it."""


class AutoOptimizationError(RequestError):
    """Automatic optimisation together with a policy for several slots."""


class UnsupportedMediaTypeError(RequestError):
    """A body that is plainly not what the operation reads."""


class InvalidRequestError(RequestError):
    """A request that is malformed before any operation looks at it: not JSON, a wrong ``api-version``."""


class EventTooLargeError(RequestError):
    """One event would not fit in a row of the log."""


class BodyTooLargeError(RequestError):
    """The request body is longer than the service reads."""


class ResourceNotFoundError(RequestError):
    """No such path."""


class MethodNotAllowedError(RequestError):
    """The path exists, under other methods."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class PreconditionFailedError(RequestError):
    """A change that was to be made only if nobody else had made one, and somebody had."""


class AccessDeniedError(RequestError):
    """No subscription key, or not one of the two."""


# --- the service's own troubles --------------------------------------------------------------------------------------


class UnavailableError(PersonalizerError):
    """Cannot be done now; the caller may repeat the call after ``retry_after``."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageUnavailableError(UnavailableError):
    """Storage did not answer, or refused for a passing reason (429, 5xx, a torn connection, too late)."""


class BacklogFullError(UnavailableError):
    """So many appends are waiting for storage that another one would only make it worse."""


class QuotaExceededError(PersonalizerError):
    """The loop's tier answers no more Rank calls this month: to repeat the call soon is of no use."""


class BusyError(UnavailableError):
    """Others kept changing the same record; repeated later, the call will find it at rest."""


class ClocksDifferError(UnavailableError):
    """Clocks are so far apart that what is before and what is after cannot be told."""


class ConflictError(PersonalizerError):
    """Another writer was first: what was computed from the old state must be dropped."""


class UnreadableError(PersonalizerError):
    """Stored bytes that cannot be used: damaged, or not what they claim to be."""


class KindNotReadError(UnreadableError):
    """Of a kind that is not read: what is said once of a file's first line, or of the file, goes for all that are like it."""


class NoLogError(UnreadableError):
    """Nothing of a log, though it lies where logs do: it is passed over, and nothing is damaged."""


class NewerFormatError(UnreadableError):
    """Stored bytes in a format version that this release does not know."""

    def __init__(self, what: str, *, found: int, known: int) -> None:
        super().__init__(f"{what} has format version {found}; this release reads up to {known}: upgrade the app")
        self.found = found
        self.known = known


class NotWrittenError(PersonalizerError):
    """Bytes that were about to be stored and could not be read again: nothing is written, and what was there before stays."""


class SettingsError(PersonalizerError):
    """A setting whose value cannot be used; the text names it.

    ``public`` is what anyone may be told: the same without the value, which may be a key that was meant for another setting.
    """

    def __init__(self, message: str, *, public: str = "") -> None:
        super().__init__(message)
        self.public = public or message


class OutOfOrderError(UnavailableError):
    """The app cannot work until a setting is mended."""


# --- several slots, evaluations and feature importances --------------------------------------------------------------


class InvalidMultiSlotApiAccessError(RequestError):
    """A multi-slot call to a loop whose settings are for single-slot calls."""


class InvalidEvaluationContractError(RequestError):
    """An evaluation asked for in a way that breaks a rule of the contract."""


class InvalidEvaluationDatesError(RequestError):
    """An evaluation of a range that ends before it begins."""


class TooManyPoliciesError(RequestError):
    """An evaluation of more policies than are compared at a time."""


class DuplicatePolicyNamesError(RequestError):
    """Two policies of one evaluation with the same name."""


class InvalidContractError(RequestError):
    """A body, not of an evaluation, that breaks a rule of the contract."""


class EvaluationAlreadyExistsError(RequestError):
    """The id is that of an evaluation already."""


class FeatureImportanceAlreadyExistsError(RequestError):
    """The id is that of a feature importance already."""


class BreakdownAlreadyExistsError(RequestError):
    """The id is that of a breakdown from the log already."""


class TooManyKeptError(RequestError):
    """As many are kept as may be: some have to be deleted first."""


class EvaluationNotFoundError(RequestError):
    """No evaluation of this id."""


class FeatureImportanceNotFoundError(RequestError):
    """No feature importance of this id."""


class BreakdownNotFoundError(RequestError):
    """No breakdown from the log of this id."""


class ScheduleNotFoundError(RequestError):
    """No schedule of evaluations of this id."""


class BreakdownWithoutResultError(RequestError):
    """The breakdown from the log has no figures yet, or could not be finished: its description says why."""


class LearningSettingsNotFoundError(RequestError):
    """No policy of this name in the evaluation."""


class GateNotPassedError(RequestError):
    """A policy that does not keep the rules that were set for it; ``checks`` say in words of each rule what was asked and found."""

    def __init__(self, message: str, *, checks: Sequence[tuple[str, str]]) -> None:
        super().__init__(message, target="gate")
        self.checks = tuple(checks)


# --- models ----------------------------------------------------------------------------------------------------------


class InvalidModelImportFormatError(RequestError):
    """The body is not a signed model, or holds no model that can be used."""


class InvalidModelImportSignatureError(RequestError):
    """A signed model whose signature does not fit, or whose signer is not trusted."""


class UnusableModelError(RequestError):
    """A kept model that this release cannot go on from."""
