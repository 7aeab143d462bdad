"""Every error of the tree and the status it is answered with."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.domain import errors

STATUS: Mapping[type[errors.PersonalizerError], tuple[int, str]] = MappingProxyType(
    {
        errors.InvalidRankRequestError: (400, "InvalidRankRequest"),
        errors.InvalidRewardRequestError: (400, "InvalidRewardRequest"),
        errors.InvalidEventIdToActivateError: (400, "InvalidEventIdToActivate"),
        errors.InvalidPolicyConfigurationError: (400, "InvalidPolicyConfiguration"),
        errors.InvalidRequestError: (400, "InvalidRequest"),
        errors.EventTooLargeError: (400, "PayloadSizeExceeded"),
        errors.BodyTooLargeError: (413, "PayloadSizeExceeded"),
        errors.ResourceNotFoundError: (404, "ResourceNotFound"),
        errors.MethodNotAllowedError: (405, "BadRequest"),
        errors.AccessDeniedError: (401, "401"),
        errors.StorageUnavailableError: (503, "OperationNotAllowed"),
        errors.BacklogFullError: (503, "OperationNotAllowed"),
        errors.ConflictError: (500, "InternalServerError"),
        errors.NewerFormatError: (500, "InternalServerError"),
        errors.UnreadableError: (500, "InternalServerError"),
        errors.SettingsError: (500, "InternalServerError"),
    }
)
INTERNAL = (500, "InternalServerError")


def status_of(error: errors.PersonalizerError) -> tuple[int, str]:
    """Give status and code: the error's own, or that of the nearest class above it."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)
