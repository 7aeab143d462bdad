"""Reward and Activate on the wire."""

from typing import Annotated

from pydantic import Field

from shared.api.wire import WireModel


class RewardRequest(WireModel):
    """The body of POST events/{eventId}/reward."""

    value: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
