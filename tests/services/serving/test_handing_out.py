"""What is handed out to clients: what is served, or nothing at all."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BusyError, StorageUnavailableError, UnreadableError
from shared.services.serving.handing_out import HandingOut
from shared.services.serving.model_server import ModelServer, Polling
from shared.services.serving.tickets import Tickets
from tests.services.serving.test_model_server import Feed, trained


class Seal:
    """Seals by a text's length: enough where nothing is forged."""

    async def seal(self, text: bytes) -> bytes:
        return len(text).to_bytes(32, "little")


class Kept:
    """A store that has the models of a feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def artifact(self, version: str) -> bytes:
        if version not in self._feed.models:
            raise UnreadableError(f"model {version} is not there")
        return self._feed.models[version]


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def server(feed) -> Iterator[ModelServer]:
    polling = Polling(timedelta(hours=1))
    yield ModelServer(feed, feed, defaults=feed.settings, polling=polling)
    polling.stop()


@pytest.fixture
def handing_out(feed, server) -> HandingOut:
    store: object = Kept(feed)
    return HandingOut(server, store, Tickets(Seal()), place="newsx0001", poll_interval=timedelta(seconds=10))  # type: ignore[arg-type]


async def test_what_is_served_is_offered_with_its_model(handing_out, feed):
    feed.publish("1")
    offer = await handing_out.offer()
    basis = await Tickets(Seal()).read(offer.ticket)
    assert basis is not None
    assert (offer.version, basis.version, basis.place) == ("1", "1", "newsx0001")
    assert await handing_out.model(offer) == trained()


async def test_before_the_first_model_there_is_none_to_hand_out(handing_out):
    offer = await handing_out.offer()
    assert (offer.version, await handing_out.model(offer)) == ("", None)


async def test_an_offer_is_told_by_its_tag(handing_out, feed, server):
    first = await handing_out.offer()
    assert (await handing_out.offer()).tag == first.tag
    feed.settings = replace(feed.settings, exploration_percentage=0.7)
    server.refresh()
    second = await handing_out.offer()
    feed.publish("1")
    server.refresh()
    third = await handing_out.offer()
    assert len({first.tag, second.tag, third.tag, replace(third, poll_interval=timedelta(seconds=9)).tag}) == 4


async def test_a_process_that_has_not_looked_yet_offers_nothing(handing_out, feed):
    """Clients would take it for a loop without a model."""
    feed.hold.clear()
    with pytest.raises(StorageUnavailableError, match="does not know yet"):
        await handing_out.offer()
    feed.hold.set()


async def test_a_process_that_cannot_look_offers_nothing_until_it_knows_a_model(handing_out, feed, server):
    feed.error = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await handing_out.offer()
    feed.error = None
    feed.publish("1")
    server.refresh()
    feed.error = StorageUnavailableError("down again")
    server.refresh()
    assert (await handing_out.offer()).version == "1"


async def test_a_model_that_was_let_go_is_read_again_before_it_is_offered(handing_out, feed, server):
    feed.publish("1")
    await handing_out.offer()
    while server.let_go():
        pass
    assert (await handing_out.offer()).version == "1"
    while server.let_go():
        pass
    feed.artifact_error = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await handing_out.offer()


async def test_a_model_that_has_just_been_replaced_is_asked_for_again(handing_out, feed):
    feed.publish("1")
    offer = await handing_out.offer()
    del feed.models["1"]
    with pytest.raises(BusyError):
        await handing_out.model(offer)
