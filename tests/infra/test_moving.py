"""A loop is moved by copying its blobs, once nothing of it waits: docs/how-to/move-and-back-up.md says how, and this does it."""

import time

from azure.storage.blob import BlobServiceClient

from shared.storage.names import LOGS, MODELS
from tests.http.building import rank_body
from tests.patience import PATIENCE
from tests.running import RunningApp

SETTINGS = {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_INGEST_GRACE": "PT0S", "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S"}


def copy(source: str, target: str, *, loop: str) -> int:
    """Copy what is under the loop's prefix in both containers."""
    copied = 0
    with BlobServiceClient.from_connection_string(source) as old, BlobServiceClient.from_connection_string(target) as new:
        for name in (MODELS, LOGS):
            here, there = old.get_container_client(name), new.get_container_client(name)
            there.create_container()
            for blob in here.list_blobs(name_starts_with=f"loops/{loop}/", include=["metadata"]):
                there.upload_blob(blob.name, here.download_blob(blob.name).readall(), metadata=blob.metadata)
                copied += 1
    return copied


def learn(app: RunningApp, event_id: str, *, learned: int, rewards: int) -> dict:
    app.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=event_id))
    app.request("POST", f"/personalizer/v1.0/events/{event_id}/reward", {"value": 0.5})
    until = time.monotonic() + PATIENCE
    while True:
        loop: dict = app.request("GET", "/status").json["loop"]
        if (loop["counters"]["learned"], loop["counters"]["pending"], loop["counters"]["rewards"]) == (learned, 0, rewards):
            return loop
        assert time.monotonic() < until, app.logs
        app.request("POST", "/admin/functions/train")
        time.sleep(0.2)


def test_a_loop_whose_blobs_were_copied_goes_on_where_it_was(new_account):
    old, new = (new_account() for _ in range(2))
    with RunningApp(old, settings=SETTINGS) as app:
        before = learn(app, "one", learned=1, rewards=1)
    assert copy(old, new, loop="default") >= 4  # pointer, model, state and a chunk
    with RunningApp(new, settings=SETTINGS) as app:
        after = app.request("GET", "/status").json["loop"]
        assert after["publishedModelVersion"] == before["publishedModelVersion"]
        counted = {name for name in before["counters"] if name != "rewards"}  # a late one may wait in the hot log, which is not copied
        assert {name: after["counters"][name] for name in counted} == {name: before["counters"][name] for name in counted}
        assert learn(app, "two", learned=2, rewards=after["counters"]["rewards"] + 1)["counters"]["unknownRewards"] == 0
