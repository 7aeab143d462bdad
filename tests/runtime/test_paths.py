"""What a path means where ids may hold slashes."""

import time

import pytest

from shared.runtime.paths import SPANNING, Paths, Reading
from tests.http.described import said

TEMPLATES = [
    "personalizer/{version}/events/{eventId}/reward",
    "personalizer/events/{eventId}/reward",
    "personalizer/{version}/events/{eventId}/activate",
    "personalizer/{version}/events/{eventId}",
    "personalizer/{version}/multislot/events/{eventId}/reward",
    "personalizer/{version}/evaluations/{evaluationId}/report",
    "personalizer/{version}/evaluations/{evaluationId}",
    "page/{*file}",
    "status",
]
PATHS = Paths([(template, template) for template in TEMPLATES])


def first(path: str) -> tuple[str, dict[str, str]]:
    reading = PATHS.readings(path)[0]
    return reading.target, dict(reading.values)


def test_every_id_that_a_caller_chooses_may_hold_slashes():
    chosen = {name for each in said() for one in each.parameters("path") if (name := one["name"]).endswith("Id")}
    assert chosen == SPANNING


@pytest.mark.parametrize("event_id", ["a", "a/b", "a//b", "a/", "/a", "reward", "a/reward", "a\nb/c", "events/a", "x" * 9000])
def test_an_id_is_what_stands_between_its_neighbours_to_the_last_slash(event_id):
    for begin in ("personalizer/v1.0/events/", "/PERSONALIZER//v1.0//Events/"):
        assert first(f"{begin}{event_id}/Reward//") == (TEMPLATES[0], {"version": "v1.0", "eventId": event_id})


def test_a_plain_reading_comes_before_others_and_a_literal_part_before_a_parameter():
    assert [each.target for each in PATHS.readings("personalizer/v1.0/evaluations/a/report")] == TEMPLATES[5:7]
    assert first("personalizer/events/a/reward")[0] == TEMPLATES[1]
    assert first("personalizer/multislot/multislot/events/a/reward")[0] == TEMPLATES[4]


def test_an_open_end_is_told_from_one_that_is_shut():
    open_ends = {each.target: each.is_open for each in PATHS.readings("personalizer/v1.0/events/a/b/reward")}
    assert open_ends == {TEMPLATES[0]: False, TEMPLATES[3]: True}


def test_a_slash_at_the_end_is_part_of_an_id_only_if_nothing_else_is_found():
    found = PATHS.readings("personalizer/v1.0/events/a//")
    assert [(each.values["eventId"], each.is_plain) for each in found] == [("a", True), ("a//", False)]


def test_what_a_page_has_in_folders_is_found_plainly():
    assert PATHS.readings("page/fonts//a.woff/") == [Reading("page/{*file}", {"file": "fonts//a.woff"}, is_plain=True, is_open=False)]


def test_an_empty_id_is_read_so_that_it_can_be_refused():
    assert first("personalizer/v1.0/events//reward") == (TEMPLATES[0], {"version": "v1.0", "eventId": ""})


@pytest.mark.parametrize("path", ["", "/", "personalizer", "personalizer/v1.0/events/", "status/more", "xstatus"])
def test_what_fits_no_template_has_no_reading(path):
    assert PATHS.readings(path) == []


@pytest.mark.parametrize("part", ["/reward", "events/", "//", "/", "%2F", "x/reward/activate"])
def test_the_time_to_read_a_path_grows_with_its_length(part):
    """And not with its square, which would be 64 times as long for one that is 8 times as long."""

    def seconds(length):
        begin = time.process_time()
        for _ in range(8192 // length):
            PATHS.readings("personalizer/v1.0/events/" + part * (length // len(part)) + "!")
            PATHS.nearest(part * (length // len(part)), ("", "personalizer"), lambda _: True)
        return time.process_time() - begin

    assert min(seconds(8192) for _ in range(5)) < 4.0 * min(seconds(1024) for _ in range(5)) + 0.001
