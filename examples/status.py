"""What the app says of itself at `GET /status`."""

import http.client
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from examples.errors import KeyRefusedError, UnreachableError
from examples.player import is_local

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


@dataclass(frozen=True, slots=True)
class LoopStatus:
    """The figures the demo shows; None for what the app does not tell."""

    model_version: str | None = None
    learned: int | None = None
    reward_wait: timedelta | None = None
    name: str | None = None
    ranked: int | None = None


def read_status(endpoint: str, key: str, *, timeout: float = 10.0) -> LoopStatus:
    """Ask the app; an endpoint that answers but has no such page gives an empty status."""
    request = urllib.request.Request(endpoint.rstrip("/") + "/status", headers={"Ocp-Apim-Subscription-Key": key})
    try:
        with _opener(endpoint).open(request, timeout=timeout) as answer:
            return parse_status(json.load(answer))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {401, 403}:
            raise KeyRefusedError(f"{endpoint} refused the key ({error.code}).") from error
        if error.code >= 500:
            raise UnreachableError(f"{endpoint} is not ready: its /status says {error.code}.") from error
        return LoopStatus()
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"Nothing answers at {endpoint}: {getattr(error, 'reason', error)}") from error
    except ValueError:  # not JSON: Rank will tell whether it is a Personalizer
        return LoopStatus()


def parse_status(body: Any) -> LoopStatus:
    """Pick out the figures; anything odd counts as not told.

    >>> parse_status({"loop": {"name": "news", "modelVersion": "7", "counters": {"ranked": 130, "learned": 120}, "rewardWaitTime": "PT2S"}})
    LoopStatus(model_version='7', learned=120, reward_wait=datetime.timedelta(seconds=2), name='news', ranked=130)
    """
    loop = body.get("loop") if isinstance(body, dict) else None
    if not isinstance(loop, dict):
        return LoopStatus()
    counters = loop.get("counters")
    learned, ranked = (counters.get(name) if isinstance(counters, dict) else None for name in ("learned", "ranked"))
    version, name = loop.get("modelVersion"), loop.get("name")
    return LoopStatus(
        model_version=None if version is None else str(version),
        learned=learned if isinstance(learned, int) else None,
        reward_wait=_to_timedelta(loop.get("rewardWaitTime") or body.get("rewardWaitTime")),
        name=name if isinstance(name, str) else None,
        ranked=ranked if isinstance(ranked, int) else None,
    )


def _to_timedelta(text: Any) -> timedelta | None:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _opener(endpoint: str) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({})) if is_local(endpoint) else urllib.request.build_opener()
