"""Whatever is let through to the log can be stored: every text at its largest, as many lines as a batch may have."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from shared.api.lines import MAX_LINES
from shared.domain.errors import EventTooLargeError, InvalidRequestError
from shared.domain.events import Decision, Observation, Proposal
from shared.storage.segments import (
    MAX_BYTES,
    MAX_EVENTS,
    TooLargeError,
    approximate_bytes,
    check_size,
    decode_decisions,
    decode_observations,
    encode,
)
from tests.builders import after, decision, observation

Event = Decision | Observation


def astral(noise: random.Random, length: int) -> str:
    return "".join(map(chr, noise.choices(range(0x10000, 0x110000), k=length)))


def control(noise: random.Random, length: int) -> str:
    return "".join(map(chr, noise.choices(range(0x20), k=length)))


def chinese(noise: random.Random, length: int) -> str:
    return "".join(map(chr, noise.choices(range(0x4E00, 0x9FFF), k=length)))


def plain(noise: random.Random, length: int) -> str:
    return "".join(noise.choices("0123456789abcdef", k=length))


def quoted(noise: random.Random, length: int) -> str:
    return "".join(noise.choices('"\\\n', k=length))


TEXTS = [astral, control, chinese, plain, quoted]
Text = Callable[[random.Random, int], str]


def hostile_decision(noise: random.Random, text: Text, *, names: int, body: int, actions: int, slotted: bool) -> Decision:
    return Decision(
        event_id=text(noise, max(names, 1)),
        decided_at=after(noise.random()),
        model_version=text(noise, names),
        mode=decision().mode,
        probabilities=tuple(-noise.random() * 1e-300 for _ in range(actions)),
        chosen=noise.randrange(actions),
        deferred=noise.random() < 0.5,
        situation=noise.randbytes(body),
        encoded=noise.randbytes(body // 2),
        slot=text(noise, names) if slotted else "",
        proposal=Proposal(noise.randrange(50), noise.random() * 1e-300, noise.random() < 0.5) if slotted else None,
    )


def stored_or_refused(events: Sequence[Event]) -> bool:
    """Let events through, or not; what was let through has to be in the row."""
    try:
        check_size(events)
    except EventTooLargeError:
        return False
    row = encode(events)
    binary = [value for value in row.values() if isinstance(value, bytes)]
    assert max(map(len, binary)) <= 64 * 1024
    assert sum(map(len, binary)) * 4 / 3 < 1024 * 1024 - 10_000  # as the emulator counts
    assert len(row) <= 14
    decode = decode_decisions if isinstance(events[0], Decision) else decode_observations
    assert list(decode(row)) == list(events)
    return True


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    text=st.sampled_from(TEXTS),
    count=st.sampled_from([1, 2, 50, 300, 900, MAX_LINES, MAX_EVENTS + 1]) | st.integers(1, MAX_LINES),
    names=st.sampled_from([0, 1, 36, 255, 256]),
    body=st.sampled_from([0, 10, 300, 700, 5_000, 400_000]),
    actions=st.sampled_from([1, 2, 50]),
    slotted=st.booleans(),
)
def test_what_is_let_through_can_be_stored(seed, text, count, names, body, actions, slotted):
    noise = random.Random(seed)
    count = min(count, max(1, 6 * 1024 * 1024 // (body + 8 * names + 1)))
    events = [hostile_decision(noise, text, names=names, body=body, actions=actions, slotted=slotted) for _ in range(count)]
    stored_or_refused(events)
    stored_or_refused([Observation(event.event_id, event.decided_at, -noise.random(), event.slot, 2**64 - 1) for event in events])


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("names", [36, 256])
@pytest.mark.sweep(keep=5)
def test_a_batch_of_the_most_lines_is_stored_or_refused(text, names):
    noise = random.Random(names)
    for body in (10, 200, 1_000):
        stored_or_refused([hostile_decision(noise, text, names=names, body=body, actions=2, slotted=False) for _ in range(MAX_LINES)])
    stored_or_refused([observation(text(noise, names), slot=text(noise, names), id=text(noise, names)) for _ in range(MAX_LINES)])


def test_what_nobody_calls_large_is_stored():
    noise = random.Random(1)
    assert stored_or_refused([decision(plain(noise, 36), version=plain(noise, 20)) for _ in range(MAX_LINES)])
    assert stored_or_refused([observation(plain(noise, 36), slot=plain(noise, 20)) for _ in range(MAX_LINES)])
    assert stored_or_refused([observation(plain(noise, 36)) for _ in range(MAX_EVENTS)])


def test_more_events_than_a_row_takes_are_refused_however_small():
    assert not stored_or_refused([observation("e")] * (MAX_EVENTS + 1))
    assert not stored_or_refused([replace(decision(), situation=b"", encoded=b"")] * (MAX_EVENTS + 1))


@given(st.lists(st.sampled_from(TEXTS).flatmap(lambda text: st.builds(text, st.randoms(use_true_random=False), st.integers(1, 256)))))
def test_a_row_holds_no_more_than_its_events_were_estimated_at(texts):
    events: list[Event] = [replace(decision(text, version=text, slot=text), situation=b"x", encoded=b"y") for text in texts]
    for each in (events, [observation(text, -0.1234567890123456, slot=text) for text in texts]):
        if each:
            row = encode(each)
            assert len(isal_zlib.decompress(row["Payload00"][4:])) <= sum(map(approximate_bytes, each)) + 200


def worst_in_memory(number: int) -> Decision:
    one = [chr(0x12000 + number), chr(0x13000 + number), chr(0x14000 + number)]
    small = Decision(one[0], after(number), one[1], decision().mode, (number / 9_999,), 0, False, b"", b"", one[2])
    return replace(small, situation=b"%d" % number, encoded=b"x%d" % number, proposal=Proposal(10**9 + number, number / 7_777, True))


@pytest.mark.parametrize(
    ("events", "decode"),
    [
        ([worst_in_memory(n) for n in range(1_000)], decode_decisions),
        ([replace(decision(f"e{n}", probabilities=(0.02,) * 50), situation=b"x" * 2_000) for n in range(300)], decode_decisions),
        ([observation(chr(0x12000 + n), n / 999, at=after(n), slot=chr(0x13000 + n)) for n in range(1_000)], decode_observations),
        ([observation("\U0001f600" * 100 + str(n), n / 999, at=after(n)) for n in range(1_000)], decode_observations),
        (
            [observation(chr(0x12000 + n), n / 999, at=after(n), slot=chr(0x13000 + n), id=str(n)) for n in range(1_000)],
            decode_observations,
        ),
    ],
    ids=["tiny decisions", "decisions", "tiny observations", "observations", "observations with ids"],
)
def test_events_take_no_more_memory_than_they_were_estimated_at(events, decode):
    row = encode(events)
    gc.collect()
    tracemalloc.start()
    read = decode(row)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert read == events
    assert taken <= sum(map(approximate_bytes, events)) + 10_000


@pytest.mark.parametrize(
    "event", [decision("a\ud800"), decision(version="\udc00"), replace(decision(), slot="\ud83d"), observation("\udfff")]
)
def test_half_a_character_is_refused_whatever_the_size(event):
    with pytest.raises(InvalidRequestError, match="Unicode"):
        check_size([observation(), event])


def test_nothing_cannot_be_stored():
    with pytest.raises(ValueError, match="nothing"):
        check_size([])
    with pytest.raises(ValueError, match="at least one"):
        encode([])


def test_events_up_to_the_limit_can_be_stored_if_they_can_be_compressed():
    event = replace(decision(), situation=b" " * (MAX_BYTES - 2_000))
    assert stored_or_refused([event])
    assert not stored_or_refused([replace(event, situation=b" " * MAX_BYTES)])
    with pytest.raises(TooLargeError):
        encode([replace(event, situation=random.Random(1).randbytes(MAX_BYTES - 2_000))])
