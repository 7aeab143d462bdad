"""Tickets: what a client decided by, as a text that it is given with the model and sends back with its decisions.

A ticket is sealed, so that any process knows it again without having kept it, and nobody else can make one.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from typing import Any, Final

from shared.domain.events import LearningMode
from shared.domain.loop import ApprenticeLearning
from shared.domain.ports import Sealer
from shared.domain.uploads import Basis

LONGEST_TICKET: Final = 8_192
"""Characters; a policy's arguments take most of them."""

_FORMAT: Final = 1
_SEAL: Final = 32


class Tickets:
    """Writes and reads tickets."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def write(self, basis: Basis) -> str:
        """Write a ticket: the same basis gives the same one. Raises as `Sealer`."""
        text = json.dumps(_document(basis), ensure_ascii=False, separators=(",", ":")).encode()
        return urlsafe_b64encode(await self._sealer.seal(text) + text).decode().rstrip("=")

    async def read(self, ticket: str) -> Basis | None:
        """Read a ticket; None for a text that this deployment has not written. Raises as `Sealer`."""
        if not ticket or len(ticket) > LONGEST_TICKET or not ticket.isascii():
            return None
        try:
            content = urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
        except ValueError:
            return None
        seal, text = content[:_SEAL], content[_SEAL:]
        if not compare_digest(seal, await self._sealer.seal(text)):
            return None
        basis = _basis(json.loads(text))
        return basis if await self.write(basis) == ticket else None  # of several ways to write one, one is known


def _document(basis: Basis) -> dict[str, object]:
    held = {"holdout": basis.holdout_percentage} if basis.holdout_percentage else {}
    return {
        "format": _FORMAT,
        "loop": basis.place,
        "model": basis.version,
        "mode": basis.learning_mode.value,
        "apprentice": basis.apprentice_learning.value,
        "exploration": basis.exploration_percentage,
        "arguments": basis.arguments,
        **held,
    }


def _basis(document: dict[str, Any]) -> Basis:
    return Basis(
        document["loop"],
        document["model"],
        LearningMode(document["mode"]),
        ApprenticeLearning(document["apprentice"]),
        document["exploration"],
        document["arguments"],
        document.get("holdout", 0.0),
    )
