"""What a change of a loop's record is told as, and that no secret is."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.changes import ChangeKind, Member, called_by
from shared.domain.keys import key_digest
from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings, Remains, Tier
from shared.services.loops.configuring import Configurator
from shared.services.loops.loops import Loops
from shared.services.loops.telling import told
from tests.builders import T0
from tests.clocks import SetClock
from tests.services.loops.loop_memory import MemoryLoops

DEFAULTS = LoopSettings()
RECORD = LoopRecord("default")


def members(before: LoopRecord, after: LoopRecord):
    found = told(before, after, defaults=DEFAULTS, now=T0)
    return None if found is None else (found.kind, found.members)


def test_settings_are_told_by_their_names_in_the_configuration_from_what_to_what():
    after = RECORD.overriding({"reward_wait": timedelta(hours=1), "default_reward": 0.5, "edited_at": T0, "resets": 1})
    assert members(RECORD, after) == (
        ChangeKind.SETTINGS,
        (Member("defaultReward", "0.0", "0.5"), Member("rewardWaitTime", "PT10M", "PT1H")),
    )


def test_a_policy_is_told_by_its_arguments():
    after = RECORD.overriding({"policy": LearningPolicy("mine", "--cb_explore_adf --softmax")})
    assert members(RECORD, after) == (ChangeKind.POLICY, (Member("policy", "--cb_explore_adf", "--cb_explore_adf --softmax"),))


def test_a_tier_is_told_with_the_settings_that_come_with_it():
    before, after = replace(RECORD, tier=Tier.S0), replace(RECORD, tier=Tier.F0)
    assert members(before, after) == (ChangeKind.TIER, (Member("tier", "S0", "F0"),))


def test_that_a_key_was_made_is_told_and_nothing_of_what_it_is():
    after = replace(RECORD, keys=(key_digest("one"), key_digest("new")))
    assert members(replace(RECORD, keys=(key_digest("one"), key_digest("two"))), after) == (ChangeKind.KEYS, (Member("key 2", None, None),))
    assert members(RECORD, replace(RECORD, client_keys=("x",))) == (ChangeKind.KEYS, (Member("client key", None, None),))


def test_the_signature_of_the_mirror_is_told_by_nobody():
    after = RECORD.overriding({"log_mirror_sas_uri": "https://x.blob.core.windows.net/c?sig=secret"})
    assert members(RECORD, after) == (ChangeKind.SETTINGS, (Member("logMirrorSasUri", None, None),))


def test_what_no_owner_decided_is_not_told():
    assert members(replace(RECORD, remains=(Remains("x", T0),)), RECORD) is None
    assert members(RECORD, replace(RECORD, deleted_at=T0)) is None


async def test_who_changes_something_is_told_by_the_name_of_the_key():
    store = MemoryLoops()
    loops = Loops(store, defaults=DEFAULTS, clock=SetClock(T0), check_mirror=lambda _: None)
    with called_by("administrator"):
        await loops.put("news", Tier.S0, {})
        await loops.regenerate("news", 2, own_keys=())
    await loops.put("news", None, {"default_reward": 0.25})
    assert [(each.by, each.kind) for each in store.told] == [
        ("administrator", ChangeKind.LOOP_MADE),
        ("administrator", ChangeKind.KEYS),
        ("service", ChangeKind.SETTINGS),
    ]


async def test_the_configurator_gives_the_newest_first():
    class Model:
        def refresh(self) -> None:
            return

    store = MemoryLoops()
    configurator = Configurator(store, Model(), defaults=DEFAULTS, clock=SetClock(T0), check_mirror=lambda _: None)  # type: ignore[arg-type]
    for value in (0.25, 0.5):
        await configurator.configure({"default_reward": value})
    await configurator.configure({"default_reward": 0.5})
    assert [each.members[0].new for each in await configurator.changes(most=10)] == ["0.5", "0.25"]
    assert len(await configurator.changes(most=1)) == 1
