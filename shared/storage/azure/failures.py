"""The SDK's failures leave here as ours; nothing above this engine knows an Azure exception."""

import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError, ServiceResponseError
from azure.core.pipeline import PipelineResponse

from shared.domain.errors import PersonalizerError, StorageUnavailableError
from shared.storage.failures import CALL_DEADLINE, in_time
from shared.storage.ports import AbsentError

logger = logging.getLogger(__name__)

_REFUSALS: Final = 400
_NOTHING: Final = {"BlobNotFound", "ContainerNotFound", "ResourceNotFound", "QueueNotFound", "TableNotFound", "EntityNotFound"}
"""By these words storage says that something is not there."""


@asynccontextmanager
async def storage_failures(what: str, *, deadline: timedelta = CALL_DEADLINE) -> AsyncIterator[None]:
    """Turn every failure of storage inside into `StorageUnavailableError`, at the latest after ``deadline``.

    It is earlier if the call that this is done for has less time left (`shared.domain.patience`). Answers that have a meaning of their own
    (not found, already there, condition not met) must be caught inside. An answer that is none, on which the SDK breaks in whatever way,
    is a failure too; an error in a line of our own is none.
    """
    async with in_time(what, deadline=deadline):
        with _translated(what):
            yield


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (PersonalizerError, AbsentError, TimeoutError):
        raise
    except HttpResponseError as cause:
        logger.warning("storage refused", extra={"operation": what, "status": cause.status_code, "reason": cause.reason})
        raise StorageUnavailableError(f"storage refused with status {cause.status_code}: {what}") from cause
    except (AzureError, OSError) as cause:
        logger.warning("storage cannot be reached", extra={"operation": what, "error": type(cause).__name__})
        raise StorageUnavailableError(f"storage cannot be reached: {what}") from cause
    except Exception as cause:
        if isinstance(cause, MemoryError) or not _is_the_sdks(cause):
            raise
        logger.warning("storage gave an answer that is not valid", extra={"operation": what, "error": type(cause).__name__}, exc_info=cause)
        raise StorageUnavailableError(f"storage gave an answer that cannot be read: {what}") from cause


def _is_the_sdks(error: BaseException) -> bool:
    """Whether it came up in the SDK, or in what that uses, and not in a line of our own."""
    packages = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)]
    known = [name for name in packages if name in ("azure", "shared")]
    return bool(known) and known[-1] == "azure"


def check_answer(response: PipelineResponse[Any, Any]) -> None:
    """Refuse an answer that somebody in between gave in storage's name: each of storage's own has a number.

    A hook of the SDK's clients. A page that asks to sign in would else be taken for a table without rows.
    """
    answer = response.http_response
    if answer.status_code < _REFUSALS and not answer.headers.get("x-ms-request-id"):
        raise ServiceResponseError(f"an answer with status {answer.status_code} that is not storage's")


def is_absent(answer: ResourceNotFoundError) -> bool:
    """Whether storage itself says that something is not there; a 404 of whoever else stands in between tells nothing."""
    return getattr(answer, "error_code", None) in _NOTHING


def believe(answer: ResourceNotFoundError) -> None:
    """Believe that there is nothing; raises an answer that storage did not give itself."""
    if not is_absent(answer):
        raise answer


def told(value: str | None) -> str:
    """Give what each answer of storage tells, as the ETag; raises `StorageUnavailableError` for an answer that is none."""
    if not value:
        raise StorageUnavailableError("storage gave an answer without the needed facts")
    return value
