"""GET /status: alive for anyone, the loop's progress for the holder of a key."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.checkpoint import AnewProgress
from tests.checkpointing import leave_behind
from tests.http.building import KEY, VERSIONS, activate, counters, path, rank, refused, reward
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.storage_proxy import StorageProxy


def test_status_with_a_key_tells_how_far_the_loop_has_come(app):
    rank(app)
    answer = app.request("GET", "/status")
    assert answer.status == 200
    assert (answer.json["service"], answer.json["apiStatus"]) == ("personalizer", "Valid")
    loop = answer.json["loop"]
    assert {"name", "learningMode", "rewardWaitTime", "modelVersion", "modelAgeSeconds", "watermark", "lagSeconds"} <= loop.keys()
    assert (loop["name"], loop["learningMode"], loop["rewardWaitTime"]) == ("default", "Online", "PT10M")
    assert loop["lagSeconds"] >= 0.0


@pytest.mark.parametrize("place", [*(path("status", version=version) for version in VERSIONS), "/personalizer/v1.0//status/"])
@pytest.mark.parametrize("loop", ["", "/loops/default"])
def test_under_each_version_it_tells_whether_a_key_is_right(quiet, place, loop):
    answer = quiet.request("GET", loop + place)
    assert (answer.status, answer.json["service"], answer.json["apiStatus"]) == (200, "personalizer", "Valid")
    refused(quiet.request("GET", loop + place, keyed=False), 401, "401")
    refused(quiet.request("GET", loop + place, headers={KEY: "another"}), 401, "401")
    assert quiet.request("HEAD", loop + place).status == 200
    assert quiet.request("HEAD", loop + place, keyed=False).status == 401


def test_what_is_not_known_yet_is_null_rather_than_missing(quiet):
    loop = quiet.request("GET", "/status").json["loop"]
    assert [loop[name] for name in ("modelVersion", "modelAgeSeconds", "watermark", "error")] == [None] * 4


def test_every_ranked_event_is_learned_skipped_or_pending(app):
    rank(app)
    found = counters(app)
    assert {"ranked", "learned", "skipped", "pending", "rewards", "lateRewards", "unknownRewards"} <= found.keys()
    assert found["ranked"] == found["learned"] + sum(found["skipped"].values()) + found["pending"]
    assert found["ranked"] > 0


def test_counters_follow_what_was_answered_exactly(quiet):
    before = counters(quiet)
    for number in range(3):
        assert rank(quiet, eventId=f"counted {number}").status == 201
    assert reward(quiet, "counted 0").status == 204
    assert reward(quiet, "counted 0", 0.5).status == 204
    assert activate(quiet, "counted 1").status == 204
    after = counters(quiet)
    assert (after["ranked"], after["pending"], after["rewards"]) == (before["ranked"] + 3, before["pending"] + 3, before["rewards"] + 2)


def test_asking_for_the_status_changes_nothing(quiet):
    assert counters(quiet) == counters(quiet)


def test_outside_apprentice_mode_there_are_no_figures_of_it(app):
    assert app.request("GET", "/status").json["loop"]["apprentice"] is None


def test_it_advises_on_what_keeps_the_loop_from_learning(storage):
    with RunningApp(storage) as app:
        rank(app)
        advice = app.request("GET", "/status").json["loop"]["advice"]
    assert [(each["code"], each["feature"]) for each in advice] == [("waiting", None)]
    assert "10 minutes" in advice[0]["message"]


@pytest.mark.parametrize(("minutes", "side"), [(-5, "ahead of"), (5, "behind")])
def test_an_instance_whose_clock_is_wrong_says_so_and_nothing_is_lost(new_account, minutes, side):
    """One that is behind learns so much later: the trainer goes by the earlier of both clocks."""
    settings = {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
        "PERSONALIZER_INGEST_GRACE": "PT0S",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    }
    with StorageProxy(new_account()) as proxy:
        proxy.date = lambda: datetime.now(UTC) + timedelta(minutes=minutes)
        with RunningApp(proxy.connection_string, settings=settings) as app:
            assert rank(app, eventId="e1").status == 201
            assert reward(app, "e1", 1.0).status == 204
            until = time.monotonic() + PATIENCE
            while (found := counters(app))["pending"] and side == "ahead of":
                assert time.monotonic() < until, app.logs
                app.request("POST", "/admin/functions/train")
                time.sleep(0.2)
            advice = app.request("GET", "/status").json["loop"]["advice"]
    assert (found["ranked"], found["rewards"], found["lateRewards"], found["unknownRewards"]) == (1, 1, 0, 0)
    assert [each["message"] for each in advice if each["code"] == "clockWrong" and side in each["message"]]


@pytest.mark.slow
def test_in_apprentice_mode_the_status_tells_how_the_policy_would_have_done(storage):
    settings = {
        "PERSONALIZER_LEARNING_MODE": "Apprentice",
        "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
        "PERSONALIZER_INGEST_GRACE": "PT0S",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    }
    with RunningApp(storage, settings=settings) as apprentice:
        for number in range(8):
            assert rank(apprentice, eventId=f"e{number}").status == 201
            assert reward(apprentice, f"e{number}", 0.5).status == 204
        until = time.monotonic() + PATIENCE
        while counters(apprentice)["pending"]:
            assert time.monotonic() < until, apprentice.logs
            apprentice.request("POST", "/admin/functions/train")
            time.sleep(0.2)
        figures = apprentice.request("GET", "/status").json["loop"]["apprentice"]
    imitated = figures["numberOfImitatedEvents"]
    assert 0 <= imitated <= 8
    assert figures == {
        "numberOfEvents": 8,
        "numberOfImitatedEvents": imitated,
        "sumOfRewards": 4.0,
        "sumOfImitatedRewards": imitated / 2,
        "baselineAverageReward": 0.5,
        "personalizerAverageReward": imitated / 16,
        "achievementRatio": imitated / 8,
    }


@pytest.mark.parametrize("place", ["/status", "/status/", "/STATUS", "/status//", "/status?api-version=anything"])
def test_status_is_found_however_it_is_spelt(quiet, place):
    assert quiet.request("GET", place, keyed=False).status == 200


def test_a_model_that_is_begun_anew_is_told_of_from_the_change_of_settings_until_it_is_published(storage):
    settings = {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
        "PERSONALIZER_INGEST_GRACE": "PT0S",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    }
    with RunningApp(storage, settings=settings) as app:

        def anew():
            return app.request("GET", "/status").json["loop"]["anew"]

        def trained(is_so) -> None:
            until = time.monotonic() + PATIENCE
            while not is_so():
                assert time.monotonic() < until, app.logs
                app.request("POST", "/admin/functions/train")
                time.sleep(0.2)

        for number in range(4):
            rank(app, eventId=f"e{number}")
        trained(lambda: counters(app)["learned"] == 4)
        assert anew() is None
        place = path("configurations/service")
        assert app.request("PUT", place, {**app.request("GET", place).json, "defaultReward": 0.5}).status == 200
        assert anew() == {"chunks": 0, "chunksDone": 0, "chunksLeftOut": 0, "learned": 0, "begunAt": None}
        begun_at = datetime(2026, 5, 17, 12, tzinfo=UTC)
        leave_behind(storage, AnewProgress(1, begun_at, chunks=8, done=3, learned=500, left_out=1))
        assert anew() == {"chunks": 8, "chunksDone": 3, "chunksLeftOut": 1, "learned": 500, "begunAt": "2026-05-17T12:00:00Z"}
        told = [each["code"] for each in app.request("GET", "/status").json["loop"]["advice"]]
        assert "learningAnew" in told
        trained(lambda: anew() is None)
        assert counters(app)["learned"] == 4
