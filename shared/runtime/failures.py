"""Every error of the tree, the status it is answered with, and what is logged of its cause."""

from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from shared.domain import errors

STATUS: Mapping[type[errors.PersonalizerError], tuple[int, str]] = MappingProxyType(
    {
        errors.InvalidRankRequestError: (400, "InvalidRankRequest"),
        errors.InvalidRewardRequestError: (400, "InvalidRewardRequest"),
        errors.InvalidEventIdToActivateError: (400, "InvalidEventIdToActivate"),
        errors.InvalidPolicyConfigurationError: (400, "InvalidPolicyConfiguration"),
        errors.InvalidPolicyContractError: (400, "InvalidPolicyContract"),
        errors.InvalidConfigurationError: (400, "InvalidServiceConfiguration"),
        errors.InvalidLearningModeChangeError: (400, "InvalidLearningModeServiceConfiguration"),
        errors.InvalidRewardWaitTimeError: (400, "InvalidRewardWaitTime"),
        errors.InvalidLogRetentionDaysError: (400, "InvalidLogRetentionDays"),
        errors.InvalidModelRetrainDaysError: (400, "InvalidModelRetrainDays"),
        errors.InvalidSasUriError: (400, "InvalidSasUri"),
        errors.InvalidContainerError: (400, "InvalidContainer"),
        errors.AutoOptimizationError: (403, "ProblemTypeIncompatibleWithAutoOptimization"),
        errors.UnsupportedMediaTypeError: (415, "InvalidRequest"),
        errors.InvalidRequestError: (400, "InvalidRequest"),
        errors.EventTooLargeError: (400, "PayloadSizeExceeded"),
        errors.BodyTooLargeError: (413, "PayloadSizeExceeded"),
        errors.ResourceNotFoundError: (404, "ResourceNotFound"),
        errors.MethodNotAllowedError: (405, "BadRequest"),
        errors.PreconditionFailedError: (412, "PreconditionFailed"),
        errors.AccessDeniedError: (401, "401"),
        errors.StorageUnavailableError: (503, "OperationNotAllowed"),
        errors.BacklogFullError: (503, "OperationNotAllowed"),
        errors.BusyError: (503, "OperationNotAllowed"),
        errors.ClocksDifferError: (503, "OperationNotAllowed"),
        errors.OutOfOrderError: (503, "OperationNotAllowed"),
        errors.QuotaExceededError: (403, "403"),
        errors.ConflictError: (500, "InternalServerError"),
        errors.NewerFormatError: (500, "InternalServerError"),
        errors.KindNotReadError: (500, "InternalServerError"),
        errors.NoLogError: (500, "InternalServerError"),
        errors.UnreadableError: (500, "InternalServerError"),
        errors.NotWrittenError: (500, "InternalServerError"),
        errors.SettingsError: (500, "InternalServerError"),
        errors.InvalidMultiSlotApiAccessError: (400, "InvalidMultiSlotApiAccess"),
        errors.InvalidEvaluationContractError: (400, "InvalidEvaluationContract"),
        errors.InvalidEvaluationDatesError: (400, "InvalidDateTimesInEvaluationContract"),
        errors.TooManyPoliciesError: (400, "MaximumEvaluationCustomPoliciesExceeded"),
        errors.DuplicatePolicyNamesError: (400, "DuplicateCustomPolicyNames"),
        errors.InvalidContractError: (400, "InvalidContract"),
        errors.EvaluationAlreadyExistsError: (400, "EvaluationAlreadyExists"),
        errors.FeatureImportanceAlreadyExistsError: (400, "FeatureImportanceAlreadyExists"),
        errors.BreakdownAlreadyExistsError: (400, "BreakdownAlreadyExists"),
        errors.TooManyKeptError: (400, "BadRequest"),
        errors.EvaluationNotFoundError: (404, "EvaluationNotFound"),
        errors.FeatureImportanceNotFoundError: (404, "FeatureImportanceNotFound"),
        errors.BreakdownNotFoundError: (404, "BreakdownNotFound"),
        errors.ScheduleNotFoundError: (404, "ScheduleNotFound"),
        errors.BreakdownWithoutResultError: (409, "BreakdownWithoutResult"),
        errors.GateNotPassedError: (409, "GateNotPassed"),
        errors.LearningSettingsNotFoundError: (404, "LearningSettingsNotFound"),
        errors.InvalidModelImportFormatError: (400, "InvalidModelImportFormat"),
        errors.InvalidModelImportSignatureError: (400, "InvalidModelImportSignature"),
        errors.UnusableModelError: (400, "InvalidModelMetadata"),
    }
)
INTERNAL = (500, "InternalServerError")


def status_of(error: errors.PersonalizerError) -> tuple[int, str]:
    """Give status and code: the error's own, or that of the nearest class above it."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)


_MOST_CAUSES: Final = 5
_MOST_CHARACTERS: Final = 500


def cause_of(error: BaseException) -> str:
    """Tell what led to an error that is no caller's fault, the nearest cause first; at most 500 characters.

    Of an error that is not of the tree its kind alone is told: its text may hold an address with a key in it, or quote what was read.

    >>> try:
    ...     raise errors.StorageUnavailableError("storage cannot be reached: append") from ConnectionResetError(104, "reset by peer")
    ... except errors.PersonalizerError as error:
    ...     cause_of(error)
    'StorageUnavailableError: storage cannot be reached: append; ConnectionResetError'
    """
    return "; ".join(_told(each) for each in islice(_causes(error), _MOST_CAUSES))[:_MOST_CHARACTERS]


def _told(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, errors.SettingsError):
        return f"{kind}: {error.public}"
    if not isinstance(error, errors.PersonalizerError):
        return kind
    quoted = "" if error.__cause__ is None else f": {error.__cause__}"
    return f"{kind}: {str(error).removesuffix(quoted)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
