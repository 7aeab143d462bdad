"""Every operation of this folder. Few processes need them, so this is imported when the first of them is called."""

from collections.abc import Sequence

from manage_function import (
    ALONE,
    breakdowns,
    changes,
    configuration,
    events,
    log_breakdowns,
    logs,
    loops,
    model,
    openapi,
    policy,
    preview,
    receipts,
    status,
)
from shared.runtime.http import Operation

OPERATIONS = (
    *configuration.OPERATIONS,
    *policy.OPERATIONS,
    *changes.OPERATIONS,
    *events.OPERATIONS,
    *preview.OPERATIONS,
    *loops.OPERATIONS,
    *model.OPERATIONS,
    *logs.OPERATIONS,
    *receipts.OPERATIONS,
    *status.OPERATIONS,
    *ALONE,
    *breakdowns.OPERATIONS,
    *log_breakdowns.OPERATIONS,
)


def with_description(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Give these operations and those that describe them all."""
    return (*operations, *openapi.operations(operations))
