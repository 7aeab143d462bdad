"""What the benchmarks and drills of the whole service rest on."""

import asyncio

import orjson
import pytest

from benchmarks.books import read_books
from benchmarks.callers import Callers, FreshTraffic, HungUpError, Place
from benchmarks.drills import SETTINGS
from benchmarks.filling import Past, fill, fill_loops, loop_names, traffic_of
from benchmarks.trees import Tree
from local.processes import free_port


async def test_a_store_that_was_filled_has_every_decision_in_its_books_once(tmp_path):
    await fill(tmp_path / "store", decisions=150, per_row=4)
    books = await read_books(tmp_path / "store", settings=SETTINGS)
    assert len(books.times) == 150
    assert set(books.times.values()) == {1}
    assert None not in books.rewards.values()
    assert (books.learned_before, books.counters.learned, books.counters.rewards) == (0, 150, 150)


async def test_each_of_many_loops_has_the_past_that_was_asked_for_and_a_key(tmp_path):
    pasts = {"busy": Past(90, rate=30.0, per_row=4), "quiet": Past(7, rate=0.1, per_row=1, kinds=3), "new": Past(0)}
    keys = await fill_loops(tmp_path / "store", pasts)
    assert keys.keys() == pasts.keys()
    for name, past in pasts.items():
        books = await read_books(tmp_path / "store", settings=SETTINGS, loop=name)
        assert (len(books.times), books.counters.learned, books.counters.rewards) == (past.decisions,) * 3
        assert all(times == 1 for times in books.times.values())


def test_two_loops_have_no_feature_in_common():
    asked = [traffic_of(number, name).body("e") for number, name in enumerate(loop_names(2))]
    names = [
        {key for each in (*body["contextFeatures"], *(f for a in body["actions"] for f in a["features"])) for key in each} for body in asked
    ]
    assert not names[0] & names[1]
    assert not {action["id"] for action in asked[0]["actions"]} & {action["id"] for action in asked[1]["actions"]}


def test_fresh_requests_have_no_action_in_common_and_about_the_size_that_is_told():
    traffic = FreshTraffic(seed=1)
    bodies = [traffic.body("e") for _ in range(100)]
    assert len({action["id"] for body in bodies for action in body["actions"]}) == 1_000
    assert all(1_300 < len(orjson.dumps(body)) < 1_700 for body in bodies)


async def test_calls_that_nobody_answers_are_errors():
    callers = Callers(Place(free_port(), "key"), connections=2)
    tally = await callers.play(FreshTraffic(seed=1), rate=100, seconds=0.05)
    assert (tally.rank, tally.reward, len(tally.errors)) == ([], [], 5)


@pytest.mark.slow
async def test_a_service_that_is_held_still_neither_answers_nor_writes_and_then_goes_on(tmp_path):
    tree = Tree(tmp_path, settings=SETTINGS)
    with tree:
        place, traffic = Place(tree.port, tree.key), FreshTraffic(seed=1)
        callers = Callers(place)
        assert (await callers.ask(place.rank(traffic.body("before"))))[0] == 201
        with tree.held_still():
            calling = asyncio.create_task(callers.ask(place.rank(traffic.body("meanwhile"))))
            before = contents(tmp_path)
            await asyncio.sleep(0.3)
            assert contents(tmp_path) == before
            assert not calling.done()
        assert (await calling)[0] == 201
        await callers.close()
        tree.kill()
        with pytest.raises((HungUpError, OSError)):
            await callers.ask(place.rank(traffic.body("after")))


def contents(folder):
    return {path: path.read_bytes() for path in (folder / "store").rglob("*") if path.is_file()}
