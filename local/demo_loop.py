"""The loop behind ``/demo``: made at the first start, with waits of seconds, beside the default loop, whose waits stay as they are."""

import contextlib
import http.client
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from local.listening import Place
from local.processes import LocalError

NAME = "demo"
DEMO_KEY = "demo-key"
"""The file that holds the loop's key."""

CONFIGURATION = {"rewardWaitTime": "PT2S", "modelExportFrequency": "PT2S", "isInferenceExplainabilityEnabled": True}
QUICK = {
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT1S",
    "PERSONALIZER_TRAINER_SCHEDULE": "*/2 * * * * *",
}
"""What all loops share and what would hold up this one; the others lose nothing by it, for one machine has one clock."""

HEADER = "Ocp-Apim-Subscription-Key"


class Answer(NamedTuple):
    """An answer's status and what its JSON says."""

    status: int
    body: Any


def demo_key(service: Place, admin_key: str, home: Path) -> str | None:
    """Return the key of the demo's loop, which is made if there is none; None, with the reason on standard error, if it cannot be.

    The key is told once, so a file is begun before the loop is made: whoever finds it unfinished may ask for another key. A loop of
    this name without either file is somebody's own, and left alone. A new store's key takes the place of an earlier one's, which is kept
    aside: the earlier loop may be brought over.
    """
    kept = home / DEMO_KEY
    unfinished, earlier = kept.with_suffix(".unfinished"), kept.with_suffix(".earlier")
    is_there = NAME in {each["name"] for each in ask(service, "GET", "/loops", admin_key).body.get("value", [])}
    if is_there and kept.exists():
        for path in (kept, earlier):
            if path.exists() and ask(service, "GET", f"/loops/{NAME}/status", path.read_text()).status != 401:
                path.rename(kept)
                return kept.read_text()
        return no_demo(f"the key in {kept} is not its loop's: delete that file and the loop {NAME!r}, and the next start makes both again")
    if is_there and not unfinished.exists():
        return no_demo(f"the loop {NAME!r} was not made by this command")
    if kept.exists():
        kept.rename(earlier)
    unfinished.touch(mode=0o600)
    if is_there:
        answer = ask(service, "POST", f"/loops/{NAME}/keys/1/regenerate", admin_key)
        key = answer.body.get("key")
    else:
        answer = ask(service, "PUT", f"/loops/{NAME}", admin_key, {"configuration": CONFIGURATION})
        key = next(iter(answer.body.get("keys", [])), None)
    if key is None:
        if answer.status < 500:  # else it may have been made all the same
            unfinished.unlink()
        return no_demo(f"its loop could not be made: {answer.status} {json.dumps(answer.body)[:500]}")
    unfinished.write_text(key)
    unfinished.rename(kept)
    return str(key)


def no_demo(reason: str) -> str | None:
    """Say why there is none; the rest of the app runs all the same."""
    print(f"There is no demo, for {reason}.", file=sys.stderr, flush=True)
    return None


def ask(service: Place, method: str, path: str, key: str, body: object = None) -> Answer:
    """Call an administrator's operation of the app that runs here; raises `LocalError` when nobody answers."""
    with contextlib.closing(service.connection(timeout=20)) as connection:
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {HEADER: key, "Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise LocalError(f"{method} {path}: {error}") from error
    return Answer(response.status, json.loads(text) if text.startswith(b"{") else {})
