"""HTTP: status, and every path that no other function takes."""

from collections.abc import Callable, Sequence

import azure.functions as func

from manage_function.status import status
from shared.runtime.http import Operation, blueprint, fallback
from shared.runtime.wiring import Services

OPERATIONS = (Operation("status", "GET", "status", status, versioned=False, needs_key=False),)


def manage_blueprint(services: Callable[[], Services]) -> func.Blueprint:
    """Give the functions of this folder."""
    return blueprint(OPERATIONS, services)


def fallback_blueprint(operations: Sequence[Operation], services: Callable[[], Services]) -> func.Blueprint:
    """Give the function that takes all other paths, knowing these operations."""
    return fallback(operations, services)
