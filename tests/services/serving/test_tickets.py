"""Tickets: what was given out is known again, and nothing else is."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import LearningMode
from shared.domain.loop import MAX_ARGUMENTS, ApprenticeLearning, LearningPolicy, LoopSettings
from shared.domain.uploads import Basis
from shared.services.serving.tickets import LONGEST_TICKET, Tickets
from shared.storage.ports import Storage
from shared.storage.signing_keys import FileModelSigner
from tests.builders import T0
from tests.clocks import SetClock
from tests.stores import opened

BASIS = Basis("newsx0001", "00000000000000000007-abc", LearningMode.APPRENTICE, ApprenticeLearning.OBSERVE, 0.25, "--cb_explore_adf")


def tickets_of(account: Storage) -> Tickets:
    return Tickets(FileModelSigner(account, clock=SetClock(T0)))


@pytest.fixture
def tickets(account) -> Tickets:
    return tickets_of(account)


async def test_a_ticket_is_read_back_by_every_process_of_the_deployment(tickets, account):
    ticket = await tickets.write(BASIS)
    another = tickets_of(account)
    assert await another.read(ticket) == BASIS
    assert await another.write(BASIS) == ticket


async def test_the_longest_arguments_fit_in_a_ticket(tickets):
    basis = replace(BASIS, arguments="\U0001f600" * MAX_ARGUMENTS)
    ticket = await tickets.write(basis)
    assert len(ticket) <= LONGEST_TICKET
    assert await tickets.read(ticket) == basis


async def test_no_other_text_is_a_ticket(tickets):
    ticket = await tickets.write(BASIS)
    text = base64.urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))[32:]
    forged = base64.urlsafe_b64encode(bytes(32) + text.replace(b"0.25", b"1.00")).decode().rstrip("=")
    others = [
        "",
        "nonsense",
        "ü" * 100,
        "A" * 43,
        "A" * LONGEST_TICKET,
        "A" * 10_000_000,
        forged,
        ticket[:-1],
        f"{ticket}=",
        f"{ticket}A",
        f" {ticket}",
    ]
    others += [ticket[:place] + ("A" if ticket[place] != "A" else "B") + ticket[place + 1 :] for place in range(0, len(ticket), 7)]
    for each in others:
        assert await tickets.read(each) is None, each


async def test_another_deployments_ticket_is_none(tickets, new_store):
    elsewhere = opened(new_store())
    assert await tickets.read(await tickets_of(elsewhere).write(BASIS)) is None
    await elsewhere.close()


@given(st.sampled_from(LearningMode), st.sampled_from(ApprenticeLearning), st.floats(0, 1), st.text(max_size=40))
def test_the_settings_of_a_basis_are_those_it_was_taken_from(mode, apprentice, exploration, arguments):
    settings = LoopSettings(
        learning_mode=mode, apprentice_learning=apprentice, exploration_percentage=exploration, policy=LearningPolicy(arguments=arguments)
    )
    assert Basis.of("p", "v", Basis.of("p", "v", settings).settings(LoopSettings())) == Basis.of("p", "v", settings)
