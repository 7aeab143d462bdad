"""What callers see while storage is away: 503 with Retry-After, in time; and that the old model goes on serving."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from shared.storage import names
from tests.patience import BUSY, PATIENCE
from tests.running import RunningApp
from tests.storage_proxy import Fault, no_faults
from tests.stores import opened, overwrite

pytestmark = [pytest.mark.slow, pytest.mark.long]

BODY = {"eventId": "e1", "actions": [{"id": name, "features": [{"topic": name}]} for name in "abc"]}
QUICK = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT4S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S",
}
DEADLINE = 2.0
"""Half the grace."""


@pytest.fixture
def running(request: pytest.FixtureRequest, proxy) -> Iterator[RunningApp]:
    """The app behind the local host, unless a test asks for the other one: what callers are told is made behind both."""
    with RunningApp(proxy.connection_string, kind=getattr(request, "param", "local"), settings=QUICK) as app:
        yield app


def ranked(app: RunningApp, event_id: str = "e1"):
    return app.request("POST", "/personalizer/v1.0/rank", BODY | {"eventId": event_id})


FAULTS = {"503": Fault(503), "500": Fault(500), "429": Fault(429), "torn": Fault(), "late": Fault(delay=3)}


@pytest.mark.parametrize(
    ("running", "fault"),
    [
        *[pytest.param("local", fault, id=f"local-{name}") for name, fault in FAULTS.items()],
        pytest.param("worker", Fault(503), id="worker-503"),
    ],
    indirect=["running"],
)
@pytest.mark.sweep(keep=2)
def test_callers_are_told_in_time_and_served_again_when_it_is_over(running, proxy, fault):
    assert ranked(running).status == 201
    proxy.plan = lambda call: fault
    for path, body in [("rank", BODY), ("events/e1/reward", {"value": 1}), ("events/e1/activate", None)]:
        started = time.monotonic()
        answer = running.request("POST", f"/personalizer/v1.0/{path}", body)
        assert time.monotonic() - started < DEADLINE + BUSY
        assert (answer.status, answer.json["error"]["code"]) == (503, "OperationNotAllowed")
        assert int(answer.headers["retry-after"]) >= 1
        assert "AccountKey" not in answer.body.decode()
    proxy.plan = no_faults
    assert ranked(running, "e2").status == 201
    assert running.request("POST", "/personalizer/v1.0/events/e2/reward", {"value": 1}).status == 204


def test_a_service_cut_off_from_storage_says_so_and_its_model_serves_on(running, proxy):
    for number in range(12):
        ranked(running, f"e{number}")
    until = time.monotonic() + PATIENCE
    loop = running.request("GET", "/status").json["loop"]
    while loop["counters"]["pending"] or loop["modelVersion"] != loop["publishedModelVersion"]:
        assert time.monotonic() < until
        running.request("POST", "/admin/functions/train", {})
        time.sleep(0.5)
        loop = running.request("GET", "/status").json["loop"]
    proxy.plan = lambda call: Fault(503)
    status = running.request("GET", "/status").json
    assert (status["apiStatus"], status["loop"]["modelVersion"]) == ("Degraded", loop["modelVersion"])
    assert "storage" in status["apiStatusMessage"]
    assert running.request("GET", "/status", keyed=False).status == 200
    figures = running.request("GET", "/figures")
    assert (figures.status, figures.json["error"]["code"], figures.headers["retry-after"]) == (503, "OperationNotAllowed", "1")
    proxy.plan = lambda call: Fault(503) if "/personalizer-models/" in call.path else None
    assert ranked(running, "during").status == 201
    proxy.plan = no_faults
    after = running.request("GET", "/status").json["loop"]["counters"]
    assert after["ranked"] == 13
    assert running.request("GET", "/figures").json["totals"]["events"] == after["learned"]


def test_a_pointer_of_a_later_release_leaves_the_old_model_serving(storage):
    """As after a downgrade: Rank goes on, and the status names the version that is too new."""

    async def write_newer() -> None:
        account = opened(storage)
        await overwrite(account, names.MODELS, names.pointer_file("default"), b'{"format": 99}')
        await account.close()

    asyncio.run(write_newer())
    with RunningApp(storage, settings=QUICK) as app:
        assert ranked(app).status == 201
        status = app.request("GET", "/status").json
    assert status["apiStatus"] == "Degraded"
    assert "format version 99" in status["apiStatusMessage"]
