"""``python -m cli migrate``: a whole resource of Azure Personalizer becomes a loop: settings, policy and log, and what to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from cli import options
from cli.evaluate import compared
from cli.import_log import import_logs
from cli.output import console, facts, number, print_json, span, table, what_was_read
from cli.service import Service
from cli.sources import check_local
from cli.storage import deployment, run, stored_loop
from shared.api.configuration import SETTINGS, ConfigurationChanges, read_changes, write_configuration
from shared.api.policy import read_policy
from shared.domain.errors import InvalidPolicyConfigurationError, InvalidPolicyContractError, InvalidRequestError, InvalidSasUriError
from shared.domain.evaluation import Report
from shared.domain.loop import DEFAULT_LOOP, LearningPolicy, LoopRecord, LoopSettings, is_loop_name
from shared.domain.mirror import expires_at
from shared.joining.foreign.terms import Terms
from shared.learning.arguments import without_effect
from shared.runtime.http import QUERY_VERSION
from shared.runtime.wiring import Deployment
from shared.services.importing.importer import Imported
from shared.services.loops.takeover import SAFE, Wanted, to_take

AZURE: Final = "azure"
OURS: Final = "ours"
_NAMES: Final = {
    "online": "the shown actions",
    AZURE: "Azure's policy",
    OURS: "this service's own",
    "baseline1": "always the first action",
    "random": "by chance",
}
_OWN_ARGUMENTS: Final = "--cb_explore_adf"
_LARGEST: Final = 1_000_000
CONFIGURATION: Final = "configuration"
POLICY: Final = "policy"
_SECRET: Final = "log_mirror_sas_uri"
_AGAIN: Final = "--again takes it over"
_RETENTION, _RETRAIN, _MIRROR, _MIRROR_URI, _OPTIMISE = (
    "logRetentionDays",
    "modelRetrainDays",
    "logMirrorEnabled",
    "logMirrorSasUri",
    "isAutoOptimizationEnabled",
)
_FOR_READERS: Final = {"lastconfigurationeditdate", "latestapprenticemodemetrics"}
"""Members that tell of the old resource and are no settings."""


_WRAPPERS: Final = {"properties", "configuration", "body", "value"}
"""Objects in which a configuration may have been saved."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Whether the mirror and automatic optimisation are taken over as well, and for how many days the log is to be kept."""

    is_mirrored: bool = False
    is_optimised: bool = False
    retention_days: int = -1


@dataclass(frozen=True, slots=True)
class Adapted:
    """A saved configuration as this service takes it: members with their values, and what was changed, a sentence each."""

    members: dict[str, Any]
    changes: list[str]


@dataclass(slots=True)
class Moved:
    """What was done. ``keys`` are those of a new loop, which are told this once, ``policy`` is in force then."""

    loop: str
    is_new: bool
    policy: LearningPolicy
    keys: Sequence[str] = field(default=(), repr=False)
    changes: list[str] = field(default_factory=list)
    taken: Sequence[str] = ()
    imported: Imported | None = None
    learned: int = 0
    compared: Sequence[Report] = ()
    doubts: Sequence[str] = ()
    verdict: str = ""


def migrate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The loop: a new one, or the one that an earlier run made.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="More logs, as --logs has them.")] = None,
    configuration: Annotated[
        Path | None, typer.Option("--configuration", metavar="FILE", help="The saved answer of GET configurations/service.")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The saved answer of GET configurations/policy.")] = None,
    logs: Annotated[
        list[str] | None, typer.Option("--logs", metavar="PATH", help="Logs, as `import` takes them, oldest first; repeatable.")
    ] = None,
    is_mirrored: Annotated[bool, typer.Option("--mirror", help="Also copy the mirror of the log.")] = False,
    is_optimised: Annotated[bool, typer.Option("--optimise", help="Also copy automatic optimisation.")] = False,
    retention_days: Annotated[
        int, typer.Option("--retention", metavar="DAYS", min=-1, help="For how long the log is kept; -1: for ever.")
    ] = -1,
    is_again: Annotated[
        bool, typer.Option("--again", help="Copy configuration and policy again, and overwrite changes that were made here since.")
    ] = False,
    is_compared: Annotated[bool, typer.Option("--compare/--no-compare", help="Compare policies on the log, or do not.")] = True,
    probability: options.Probability = None,
    endpoint: options.Endpoint = "",
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Move a resource of Azure Personalizer here: make the loop, take its configuration and policy over, import its logs, compare policies.

    What is taken over otherwise than it was saved is said. Stopped half-way, run it again: it goes on, and nothing is there twice. What was
    taken over once and changed here since stays as it is, and that is said as well.
    """
    sources = [*(logs or ()), *(more or ())]
    check_local(sources)
    wishes = Wishes(is_mirrored, is_optimised, retention_days)
    adapted = adapt(_read(configuration) if configuration else {}, wishes, now=datetime.now(UTC))
    told_of_policy: list[str] = []
    saved = _saved_policy(policy, told_of_policy) if policy else None
    wanted = Wanted(read_changes(adapted.members), saved)
    try:
        done = run(_move(name, wanted, storage, is_again=is_again, as_json=as_json))
    except InvalidSasUriError as error:
        raise InvalidSasUriError(f"{error}. Nothing was changed: correct the saved configuration, or leave out --mirror") from error
    done.changes[:0] = [
        *(adapted.changes if CONFIGURATION in done.taken else ()),
        *(told_of_policy if not saved or POLICY in done.taken else ()),
    ]
    if sources:
        run(_import(done, sources, Terms(assumed=probability), storage, as_json=as_json))
    done.learned, is_logged = run(_standing(name, storage))
    if is_compared and is_logged:
        run(_compare(done, saved, storage))
    where = _endpoint(endpoint, name)
    if as_json:
        print_json(_document(done, where))
    else:
        _print(done, where)
    has_imported = done.imported is not None and bool(done.imported.events or done.imported.repeated)
    raise typer.Exit(1 if sources and not has_imported else 0)


# --- what was saved ---------------------------------------------------------------------------------------------------------


def adapt(saved: dict[str, Any], wishes: Wishes, *, now: datetime) -> Adapted:
    """Take a configuration as Azure answered it, with names in any case, for one of this service.

    At `now` a signature of the mirror may be over: it is not offered then.

    >>> adapt({"LogRetentionDays": 90, "isAutoOptimizationEnabled": True}, Wishes(), now=datetime.now(UTC)).members
    {'logRetentionDays': -1, 'isAutoOptimizationEnabled': False, 'logMirrorEnabled': False}
    """
    names = {alias.lower(): alias for alias in (str(each.alias) for each in ConfigurationChanges.model_fields.values())}
    saved = _unwrapped(saved, names)
    members = {names[name.lower()]: value for name, value in saved.items() if name.lower() in names and value is not None}
    if saved and not members:
        raise InvalidRequestError(
            "the saved configuration has no setting that is known here. It has to be the answer of GET configurations/service"
        )
    read_changes(members)  # what cannot be a setting is refused before anything of it is said
    told = []
    unknown = sorted(name for name in saved if name.lower() not in names and name.lower() not in _FOR_READERS)
    if unknown:
        told.append(f"{', '.join(unknown)[:200]}: left out, because there is no such setting here.")
    kept = members.get(_RETENTION, -1)
    if kept != wishes.retention_days:
        told.append(
            f"{_RETENTION}: {wishes.retention_days} instead of {kept}, so that the imported events stay"
            f" (--retention {kept} copies the saved value)."
        )
    members[_RETENTION] = wishes.retention_days
    if _RETRAIN in members:
        days = members.pop(_RETRAIN)
        told.append(
            f"{_RETRAIN}: {days} is left out. If you later change what a reward means, all imported events are learned again,"
            " not only the last days"
            f" (python -m cli config set {_RETRAIN}={days} --loop NAME --key KEY sets it)."
        )
    if not wishes.is_optimised:
        if members.get(_OPTIMISE):
            told.append(f"{_OPTIMISE}: off instead of on (--optimise copies it).")
        members[_OPTIMISE] = False
    if not wishes.is_mirrored:
        if members.get(_MIRROR):
            end = expires_at(str(members.get(_MIRROR_URI, "")))
            is_over = end is not None and end <= now
            over = f": its signature expired at {end:%Y-%m-%dT%H:%M:%SZ}. To mirror the log, make a new one and set it" if is_over else ""
            told.append(f"{_MIRROR}: off instead of on, and {_MIRROR_URI} is left out{over or ' (--mirror copies both)'}.")
        members.pop(_MIRROR_URI, None)
        members[_MIRROR] = False
    return Adapted(members, told)


def _unwrapped(saved: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the settings themselves: tools for Azure's resources save them inside of other objects, such as `properties`."""
    if any(name.lower() in names for name in saved):
        return saved
    inner = [value for name, value in saved.items() if isinstance(value, dict) and name.lower() in _WRAPPERS]
    return _unwrapped(inner[0], names) if len(inner) == 1 else saved


def _read(path: Path) -> dict[str, Any]:
    """Read a file of JSON, in UTF-8 or, as PowerShell writes it, in UTF-16 with its mark."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidRequestError(f"{path} has more than {_LARGEST:,} bytes: is it the answer that was saved?")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        document = orjson.loads(text)
    except (UnicodeDecodeError, orjson.JSONDecodeError) as cause:
        raise InvalidRequestError(f"{path} is no JSON: {cause}") from cause
    if not isinstance(document, dict):
        raise InvalidRequestError(f"{path} has to hold one JSON object, as the old resource answered it")
    return document


def _saved_policy(path: Path, told: list[str]) -> LearningPolicy | None:
    """Read the saved policy, and say what of it has no effect here; None, and why, for one that cannot be followed."""
    try:
        policy = read_policy(orjson.dumps(_read(path)))
        idle = without_effect(policy.arguments)
    except (InvalidPolicyContractError, InvalidPolicyConfigurationError) as error:
        told.append(f"policy: is not supported and is left out: {error}.")
        return None
    if idle:
        told.append(f"policy: copied; without effect here: {', '.join(idle)}.")
    return policy


# --- the steps --------------------------------------------------------------------------------------------------------------


async def _move(name: str, wanted: Wanted, storage: str, *, is_again: bool, as_json: bool) -> Moved:
    """Make the loop, or take the one that is there, and give it the settings; keys are printed at once, lest they be lost."""
    async with deployment(storage) as deployed:
        before = await _found(deployed, name)
        kept = await deployed.loops.take_over(name, wanted, again=is_again)
        defaults = deployed.settings.loop
    now = kept.record.settings(defaults)
    done = Moved(name, is_new=bool(kept.keys), policy=now.policy, keys=kept.keys)
    if kept.keys and not as_json:
        console().print(facts(loop=name, **{f"key {number}": key for number, key in enumerate(kept.keys, start=1)}))
        console().print("Copy the keys now. They are shown this once.")
    settings, policy = to_take(before, wanted, again=is_again)
    done.taken = [name for name, is_taken in ((CONFIGURATION, settings.keys() - SAFE), (POLICY, policy)) if is_taken]
    done.changes = stayed(wanted, before.settings(defaults), now, done.taken)
    return done


async def _found(deployed: Deployment, name: str) -> LoopRecord:
    stored = await deployed.store.read(name) if is_loop_name(name) else None
    return stored[0] if stored and stored[0].is_there else LoopRecord(name)


def stayed(wanted: Wanted, before: LoopSettings, now: LoopSettings, taken: Sequence[str]) -> list[str]:
    """Tell what was not taken over since the loop has its own by now, a sentence each; and whether its model has to be learned again."""
    told = []
    if CONFIGURATION not in taken and now.log_retention_days != before.log_retention_days:
        told.append(f"{_RETENTION}: {now.log_retention_days} instead of {before.log_retention_days}, so that the imported events stay.")
    others = {field: value for field, value in wanted.settings.items() if getattr(now, field) != value}
    if others:
        told.append(f"configuration: the loop's own values stay: {_compared(others, now)}. {_AGAIN}.")
    elif wanted.is_whole and CONFIGURATION not in taken:
        told.append("configuration: was copied before.")
    if wanted.policy is not None and POLICY not in taken:
        is_other = now.policy != wanted.policy
        told.append(
            f"policy: the loop's own policy stays: {now.policy.name} ({now.policy.arguments}). {_AGAIN}."
            if is_other
            else "policy: was copied before."
        )
    if now.resets > before.resets:
        told.append("A change affects what a reward means, or the features. If the loop has learned before, all is learned again.")
    return told


def _compared(others: Mapping[str, Any], now: LoopSettings) -> str:
    """Name the settings that differ from the saved ones, with both values, but for an address that holds a secret."""
    members = {field: member for member, field in SETTINGS.items()}
    has = write_configuration(now, QUERY_VERSION).model_dump(mode="json", by_alias=False)
    saved = write_configuration(replace(now, **others), QUERY_VERSION).model_dump(mode="json", by_alias=False)
    aliases = {name: str(each.alias) for name, each in ConfigurationChanges.model_fields.items()}
    return ", ".join(
        aliases[name] + ("" if field == _SECRET else f" {has[name]} (saved: {saved[name]})")
        for field, name in ((field, members[field]) for field in others)
    )


async def _import(done: Moved, sources: list[str], terms: Terms, storage: str, *, as_json: bool) -> None:
    async with stored_loop(done.loop, storage) as opened:
        stored = await opened.services.store.pointer()
    own = stored[0].counters.processed if stored else 0
    if own:
        done.changes.append(f"logs: nothing was imported, because the loop has {own:,} events of its own by now.")
        return
    done.imported = await import_logs(sources, terms, done.loop, storage)
    if not as_json:
        console().print(what_was_read(done.imported.read))


async def _standing(name: str, storage: str) -> tuple[int, bool]:
    """Tell how many events the model has learned, and whether anything is in the joined log."""
    async with stored_loop(name, storage) as opened:
        stored = await opened.services.store.pointer()
    return (stored[0].learned, bool(stored[0].chunk)) if stored else (0, False)


async def _compare(done: Moved, saved: LearningPolicy | None, storage: str) -> None:
    policies = [LearningPolicy(OURS, _OWN_ARGUMENTS), *([LearningPolicy(AZURE, saved.arguments)] if saved else [])]
    found, done.doubts = await compared(done.loop, storage, policies)
    done.compared = found
    arguments = {_OWN_ARGUMENTS: OURS, **({saved.arguments: AZURE} if saved else {})}
    done.verdict = verdict(found, done.loop, in_force=arguments.get(done.policy.arguments, ""))


def verdict(reports: Sequence[Report], loop: str, *, in_force: str = AZURE) -> str:
    """Say in one sentence which policy to keep; ``in_force`` names the one that the loop has, "" if it is another one."""
    by_name = {each.name: each for each in reports}
    ours, azure, shown = by_name.get(OURS), by_name.get(AZURE), by_name.get("online")
    if ours is None or shown is None:
        return "The log cannot say which policy to keep, because no decision in it was left to chance. Keep the one that is in force."
    was_shown = f"the shown actions earned {_value(shown)} per event"
    if azure is None:
        return f"Keep this service's own policy: {was_shown}, and it would have earned {_value(ours)}."
    low, high = ours.intervals["default"], azure.intervals["default"]
    if high[0] > ours.estimates["calibrated_dr"] and azure.estimates["calibrated_dr"] > low[1]:
        how = "which is in force" if in_force == AZURE else f"which is not in force ({_AGAIN})"
        return f"Keep Azure's policy, {how}: it would have earned {_value(azure)} an event, this service's own {_value(ours)}."
    is_better = low[0] > azure.estimates["calibrated_dr"] and ours.estimates["calibrated_dr"] > high[1]
    why = (
        f"it would have earned {_value(ours)} an event, Azure's policy {_value(azure)}, and {was_shown}"
        if is_better
        else f"the log does not tell it ({_value(ours)} an event) and Azure's policy ({_value(azure)}) apart, and it needs no settings"
    )
    how = ", which is in force" if in_force == OURS else f" (python -m cli policy reset --loop {loop} --key KEY)"
    return f"Keep this service's own policy{how}: {why}."


def _value(report: Report) -> str:
    return f"{number(report.estimates['calibrated_dr'], '.3f')} ({span(report.intervals['default'], '.3f')})"


# --- what is told -----------------------------------------------------------------------------------------------------------


def _endpoint(given: str, name: str) -> str:
    service = Service.of_loop(given, "", name)
    return service.endpoint.rstrip("/") + ("" if name == DEFAULT_LOOP else f"/loops/{name}")


def _print(done: Moved, endpoint: str) -> None:
    out = console()
    for change in done.changes:
        out.print(change, markup=False)
    if done.imported is not None:
        read = done.imported
        out.print(f"{read.events:,} events were imported, {read.repeated:,} were there already.")
    if done.compared:
        numbers = ["an event earns", "from", "to", "rounds"]
        listed = table("policy", *numbers, right=numbers)
        for each in done.compared:
            low, high = each.intervals["default"]
            earns, least, most = (number(value, ".4f") for value in (each.estimates["calibrated_dr"], low, high))
            listed.add_row(_NAMES.get(each.name, each.name), earns, least, most, f"{each.rounds:,}")
        out.print(listed)
    if done.verdict:
        out.print(done.verdict, markup=False)
    for doubt in done.doubts:
        out.print(f"Beware: {doubt}", markup=False)
    out.print(facts(loop=done.loop, endpoint=endpoint, events_learned=done.learned))
    if not done.is_new and done.loop != DEFAULT_LOOP:
        out.print(f"Its keys were shown before; python -m cli keys regenerate 1 --loop {done.loop} makes a new one.", markup=False)


def _document(done: Moved, endpoint: str) -> dict[str, Any]:
    read = done.imported
    return {
        "loop": done.loop,
        "endpoint": endpoint,
        "isNew": done.is_new,
        "keys": list(done.keys) or None,
        "takenOver": list(done.taken),
        "changes": done.changes,
        "imported": None if read is None else {"events": read.events, "repeated": read.repeated, "refused": read.read.malformed},
        "learned": done.learned,
        "policies": [
            {"name": each.name, "estimate": each.estimates["calibrated_dr"], "interval": each.intervals["default"], "rounds": each.rounds}
            for each in done.compared
        ],
        "verdict": done.verdict or None,
        "warnings": list(done.doubts),
    }
