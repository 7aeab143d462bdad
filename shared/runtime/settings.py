"""App settings: the only reader of the process's environment. A value that cannot be used is a `SettingsError` that names it."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import InvalidPolicyConfigurationError, SettingsError
from shared.domain.events import LearningMode
from shared.domain.keys import key_digest
from shared.domain.loop import MAX_ARGUMENTS, ApprenticeLearning, LearningPolicy, LoopSettings, RewardAggregation
from shared.learning.arguments import parse_arguments
from shared.runtime.memory import USUAL_MEMORY, memory_here
from shared.runtime.ncrontab import one_form
from shared.storage.epochs import settled_for
from shared.storage.opening import folder_named, is_connection_string
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings

DEFAULTS: Mapping[str, str] = {
    "PERSONALIZER_KEYS": "",
    "PERSONALIZER_CLIENT_KEYS": "",
    "PERSONALIZER_CORS_ORIGINS": "",
    "PERSONALIZER_ADMIN_KEY": "",
    "PERSONALIZER_REWARD_WAIT_TIME": "PT10M",
    "PERSONALIZER_DEFAULT_REWARD": "0",
    "PERSONALIZER_REWARD_AGGREGATION": "earliest",
    "PERSONALIZER_EXPLORATION_PERCENTAGE": "0.2",
    "PERSONALIZER_LEARNING_MODE": "Online",
    "PERSONALIZER_APPRENTICE_LEARNING": "Imitate",
    "PERSONALIZER_POLICY_ARGUMENTS": "--cb_explore_adf",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT5M",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT10S",
    "PERSONALIZER_INGEST_GRACE": "PT30S",
    "PERSONALIZER_TRAINER_SCHEDULE": "0 * * * * *",
    "PERSONALIZER_LOG_SHARDS": "1",
    "PERSONALIZER_MODELS_KEPT": "20",
    "PERSONALIZER_MEMORY_MB": "2048",
}
"""Every setting of the app beside those of its storage account; docs/settings.md and the example settings list the same."""

_SHORTEST_DEADLINE = timedelta(seconds=2)
_UNSEEN = timedelta(seconds=2)
"""By which clocks may differ before storage's answers, whose time is to the second, show it."""

_UNSEEN_IN_A_STORE = timedelta(seconds=0.5)
"""The same in an embedded store: its processes have one clock, and its time is taken for that up to a tenth of a second beside it."""

_DATA_ACCOUNT = "PERSONALIZER_STORAGE"
_HOST_ACCOUNT = "AzureWebJobsStorage"
_PARTS: Final = ("accountName", "blobServiceUri", "tableServiceUri", "queueServiceUri", "credential", "clientId")
_OURS: Final = "PERSONALIZER_"
_NEAR: Final = 0.84
"""How alike two names are that differ in a letter or two; the shortest, KEY and KEYS, are 0.86."""
_CORS_OF_PLATFORM = "WEBSITE_CORS_ALLOWED_ORIGINS"
"""Azure's own: the origins whose preflights the platform answers, and whose answers it marks."""

_EMBEDDED = "PERSONALIZER_STORE"
_EMULATOR = "UseDevelopmentStorage=true"
_DURATION = TypeAdapter(timedelta)
_SHOWN = 24
"""Characters of a value that an error repeats: most keys are longer."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://(?:[a-z0-9.\-_]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_PORTS: Final[Mapping[str, str]] = {"http": ":80", "https": ":443"}
"""What browsers leave out of an origin."""
MOST_ORIGINS = 100
_REFERENCE = "@microsoft.keyvault("
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9-]{1,63}")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What this deployment was given; see docs/settings.md. ``memory`` is how many bytes each process plans with.

    ``storage`` has the loops' data, ``host_storage`` the Functions host's own, with the queues; they may be one, as in an embedded store.
    A tool beside the app needs no queue, so the host's may be missing.
    """

    key_digests: tuple[str, ...] = field(repr=False)
    admin_digests: tuple[str, ...] = field(repr=False)
    client_digests: tuple[str, ...] = field(repr=False)
    loop: LoopSettings
    model_poll_interval: timedelta
    ingest_grace: timedelta
    trainer_schedule: str
    log_shards: int
    models_kept: int
    storage: StorageSettings
    host_storage: StorageSettings
    memory: int = USUAL_MEMORY
    cors_origins: tuple[str, ...] = ()
    cors_of_platform: tuple[str, ...] = ()

    @property
    def grace(self) -> timedelta:
        """How long the trainer waits for appends under way and for clocks that differ."""
        return max(self.ingest_grace, self.smallest_grace)

    @property
    def smallest_grace(self) -> timedelta:
        """A shorter one counts as this: an append that was acknowledged has to be there before the trainer looks."""
        return _SHORTEST_DEADLINE + self._unseen

    @property
    def _unseen(self) -> timedelta:
        return _UNSEEN_IN_A_STORE if isinstance(self.storage, FolderSettings) else _UNSEEN

    @property
    def append_deadline(self) -> timedelta:
        """How long an append may take from its call on, waiting and retries included; what is left of the grace is for clocks."""
        return min(max(self.grace / 3, _SHORTEST_DEADLINE), timedelta(seconds=10))

    @property
    def upload_grace(self) -> timedelta:
        """Twice the time by which what a client decided by itself may be older than its upload: it, too, is stored within the grace."""
        return min(self.grace, 2 * (self.grace - self.append_deadline - self._unseen))

    @property
    def asks_after(self) -> timedelta:
        """How old the last poll may be before a writer asks by itself whether the log was deleted: older than it is when all is well."""
        return 2 * self.model_poll_interval + timedelta(seconds=10)

    @property
    def settled_for(self) -> timedelta:
        """After what time every writer has heard that the log was deleted."""
        return settled_for(asks_after=self.asks_after, append_deadline=self.append_deadline, clocks=self.grace)

    @property
    def lookback(self) -> timedelta:
        """How far behind the watermark a segment that turned up late is still looked for."""
        return self.grace + self.append_deadline


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Give settings that nothing reads, each with the one that is meant: one with nearly that name, which is not set.

    >>> misspelt({"PERSONALIZER_KEY": "k", "PERSONALIZER_ENDPOINT": "e", "Personalizer_Log_Shards": "2"})
    {'PERSONALIZER_KEY': 'PERSONALIZER_KEYS', 'Personalizer_Log_Shards': 'PERSONALIZER_LOG_SHARDS'}
    """
    known = {_rest(name): name for name in (*DEFAULTS, _EMBEDDED, _DATA_ACCOUNT, *(f"{_DATA_ACCOUNT}__{part}" for part in _PARTS))}
    found = [name for name in environment if name.upper().startswith(_OURS) and name not in known.values()]
    if not found:
        return {}
    from difflib import get_close_matches  # hardly ever needed

    near = {name: [known[rest] for rest in get_close_matches(_rest(name), known, n=1, cutoff=_NEAR)] for name in found}
    return {name: meant for name, all_meant in near.items() for meant in all_meant if not environment.get(meant)}


def _rest(name: str) -> str:
    """Give the part of a setting's name that others do not begin with, in capitals."""
    return name.upper().removeprefix(f"{_DATA_ACCOUNT}__").removeprefix(_OURS)


def read_settings(environment: Mapping[str, str]) -> AppSettings:
    """Read and check all settings; raises `SettingsError`."""
    reader = _Reader(environment)
    return AppSettings(
        key_digests=tuple(map(key_digest, reader.keys("KEYS"))),
        admin_digests=tuple(key_digest(key) for key in [reader.text("ADMIN_KEY")] if key),
        client_digests=tuple(map(key_digest, _client_keys(reader))),
        cors_origins=_origins(reader.text("CORS_ORIGINS")),
        cors_of_platform=_listed(environment.get(_CORS_OF_PLATFORM, "")),
        loop=LoopSettings(
            reward_wait=reader.duration("REWARD_WAIT_TIME", minimum=timedelta(seconds=1), maximum=timedelta(days=30)),
            default_reward=reader.number("DEFAULT_REWARD", minimum=-1.0, maximum=1.0),
            reward_aggregation=reader.choice("REWARD_AGGREGATION", RewardAggregation),
            exploration_percentage=reader.number("EXPLORATION_PERCENTAGE", minimum=0.0, maximum=1.0),
            learning_mode=reader.choice("LEARNING_MODE", LearningMode),
            apprentice_learning=reader.choice("APPRENTICE_LEARNING", ApprenticeLearning),
            model_export_frequency=reader.duration("MODEL_EXPORT_FREQUENCY", minimum=timedelta(seconds=1), maximum=timedelta(days=1)),
            policy=LearningPolicy(arguments=_policy_arguments(reader.text("POLICY_ARGUMENTS"))),
        ),
        model_poll_interval=reader.duration("MODEL_POLL_INTERVAL", minimum=timedelta(milliseconds=100), maximum=timedelta(hours=1)),
        ingest_grace=reader.duration("INGEST_GRACE", minimum=timedelta(0), maximum=timedelta(hours=1)),
        trainer_schedule=_schedule(reader.text("TRAINER_SCHEDULE")),
        log_shards=int(reader.number("LOG_SHARDS", minimum=1, maximum=64, whole=True)),
        models_kept=int(reader.number("MODELS_KEPT", minimum=1, maximum=10_000, whole=True)),
        storage=_data_storage(environment),
        host_storage=_embedded_store(environment) or _account(environment, _HOST_ACCOUNT),
        memory=_memory(reader),
    )


class _Reader:
    """Reads settings by the part of their name after ``PERSONALIZER_``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        setting = f"PERSONALIZER_{name}"
        text = (self._environment.get(setting) or DEFAULTS[setting]).strip()
        if text.lower().startswith(_REFERENCE):  # as a key, it would be one that many know
            raise SettingsError(f"{setting} is a reference to a secret in a key vault, which the platform could not read")
        return text

    def keys(self, name: str) -> tuple[str, ...]:
        keys = tuple(key.strip() for key in self.text(name).split(",") if key.strip())
        if len(keys) > 2:
            raise SettingsError(f"PERSONALIZER_{name} holds {len(keys)} keys, but two are enough: one to use and one to change to")
        return keys

    def duration(self, name: str, *, minimum: timedelta, maximum: timedelta) -> timedelta:
        rule = f"an ISO 8601 duration from {_iso(minimum)} to {_iso(maximum)}, such as {DEFAULTS[f'PERSONALIZER_{name}']}"
        return self._checked(name, rule, _read_duration, lambda value: minimum <= value <= maximum)

    def number(self, name: str, *, minimum: float, maximum: float, whole: bool = False) -> float:
        rule = f"a {'whole ' if whole else ''}number from {minimum:g} to {maximum:g}"
        return self._checked(name, rule, float, lambda value: minimum <= value <= maximum and (not whole or value == int(value)))

    def choice(self, name: str, options: type["Option"]) -> "Option":
        by_name = {option.value.lower(): option for option in options}
        rule = f"one of {', '.join(option.value for option in options)}"
        return self._checked(name, rule, lambda text: by_name[text.lower()], lambda _: True)

    def _checked(self, name: str, rule: str, read: Callable[[str], Value], is_valid: Callable[[Value], bool]) -> Value:
        text = self.text(name)
        try:
            value = read(text)
            if is_valid(value):
                return value
        except (ValueError, LookupError, OverflowError):
            pass
        raise _unusable(f"PERSONALIZER_{name}", text, f"must be {rule}")


Option = TypeVar("Option", bound=StrEnum)


def _unusable(setting: str, text: str, rule: str) -> SettingsError:
    """Give the error of a setting that has this value; one as long as a key is not repeated."""
    found = repr(text) if len(text) <= _SHOWN else f"{len(text)} characters long"
    return SettingsError(f"{setting} is {found}, but {rule}", public=f"{setting} {rule}")


def _memory(reader: _Reader) -> int:
    return min(int(reader.number("MEMORY_MB", minimum=256, maximum=1 << 20, whole=True)) << 20, memory_here())


def _read_duration(text: str) -> timedelta:
    if not text.upper().startswith("P"):
        raise ValueError
    try:
        return _DURATION.validate_python(text.upper())
    except ValidationError as cause:
        raise ValueError from cause


def _iso(duration: timedelta) -> str:
    return str(_DURATION.dump_python(duration, mode="json"))


def _client_keys(reader: _Reader) -> tuple[str, ...]:
    """Read the keys that may be seen by every visitor of a page: none of them may open more."""
    keys = reader.keys("CLIENT_KEYS")
    for other in ("KEYS", "ADMIN_KEY"):
        text = reader.text(other)
        if {text, *(key.strip() for key in text.split(","))} & set(keys):
            raise SettingsError(f"PERSONALIZER_CLIENT_KEYS holds a key that is in PERSONALIZER_{other} too, which would open everything")
    return keys


def _origins(text: str) -> tuple[str, ...]:
    """Read the origins of pages whose scripts may call, as browsers write them; ``*`` is any."""
    origins = tuple(dict.fromkeys(map(_as_browsers_write_it, _listed(text))))
    for origin in origins:
        if origin != "*" and not _is_origin(origin):
            rule = "must hold origins such as https://www.example.com, separated by commas, or *"
            raise _unusable("PERSONALIZER_CORS_ORIGINS", text, rule)
    if len(origins) > MOST_ORIGINS:
        raise SettingsError(f"PERSONALIZER_CORS_ORIGINS holds {len(origins)} origins, but may hold at most {MOST_ORIGINS}")
    return origins


def _as_browsers_write_it(origin: str) -> str:
    return origin.removesuffix(_PORTS.get(origin.partition("://")[0], "\0"))


def _is_origin(text: str) -> bool:
    return bool(_ORIGIN.fullmatch(text)) and _is_address(text)


def _is_address(text: str) -> bool:
    """Whether an address can be split, names a host, and has a port that there is, if any."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(origin.strip().rstrip("/").lower() for origin in text.split(",") if origin.strip()))


def _policy_arguments(text: str) -> str:
    if len(text) > MAX_ARGUMENTS:
        raise SettingsError(f"PERSONALIZER_POLICY_ARGUMENTS has {len(text)} characters, but may have at most {MAX_ARGUMENTS}")
    try:
        parse_arguments(text)
    except InvalidPolicyConfigurationError as cause:
        public = "PERSONALIZER_POLICY_ARGUMENTS must be arguments of a learning policy, such as --cb_explore_adf"
        raise SettingsError(f"PERSONALIZER_POLICY_ARGUMENTS is not supported: {cause}", public=public) from cause
    return text


def _schedule(text: str) -> str:
    try:
        return one_form(text)
    except ValueError:
        rule = "must be an NCRONTAB expression of six fields, such as '0 * * * * *', and a time that comes"
        raise _unusable("PERSONALIZER_TRAINER_SCHEDULE", text, rule) from None


def _data_storage(environment: Mapping[str, str]) -> StorageSettings:
    """Find the data's storage: a folder of this machine, or the app's own account if there is one, else the Functions host's account."""
    names = [_DATA_ACCOUNT, *(f"{_DATA_ACCOUNT}__{part}" for part in ("accountName", "blobServiceUri", "tableServiceUri"))]
    store = _embedded_store(environment)
    if store is not None:
        both = [name for name in names if environment.get(name, "").strip()]
        if both:
            raise SettingsError(f"{_EMBEDDED} and {both[0]} name two places for the data: use only one of them")
        return store
    prefix = _DATA_ACCOUNT if any(environment.get(name, "").strip() for name in names) else _HOST_ACCOUNT
    account = _account(environment, prefix)
    if not account.connection_string and not (account.blob_uri and account.table_uri):
        raise SettingsError(
            f"{prefix} must be a connection string, or {prefix}__blobServiceUri and {prefix}__tableServiceUri"
            f" (or {prefix}__accountName) must name the storage account, or {_EMBEDDED} the folder of a store"
        )
    return account


def _embedded_store(environment: Mapping[str, str]) -> FolderSettings | None:
    folder = environment.get(_EMBEDDED, "").strip()
    return FolderSettings(store_folder(folder), make=True) if folder else None


def store_folder(text: str) -> Path:
    """Read the folder that ``PERSONALIZER_STORE`` names; raises `SettingsError`."""
    if is_connection_string(text) or "://" in text:  # not repeated: it may hold a key
        raise SettingsError(f"{_EMBEDDED} must be a folder of this machine; {_DATA_ACCOUNT} names an account")
    return folder_named(text).absolute()


def _account(environment: Mapping[str, str], prefix: str) -> AccountSettings:
    """Read what is said of an account the way the Functions host reads a connection; what is not said is empty."""
    connection = environment.get(prefix, "").strip()
    if connection:
        return AccountSettings(connection_string=_checked_connection(prefix, _expanded(connection)))
    name = environment.get(f"{prefix}__accountName", "").strip()
    if name and not _ACCOUNT_NAME.fullmatch(name):
        raise SettingsError(f"{prefix}__accountName must be the name of a storage account: letters and digits")
    blob_uri, table_uri, queue_uri = (
        _checked_address(f"{prefix}__{service}ServiceUri", environment) or (f"https://{name}.{service}.core.windows.net" if name else "")
        for service in ("blob", "table", "queue")
    )
    return AccountSettings(
        blob_uri=blob_uri,
        table_uri=table_uri,
        queue_uri=queue_uri,
        managed_identity=environment.get(f"{prefix}__credential", "").lower() == "managedidentity",
        client_id=environment.get(f"{prefix}__clientId") or None,
    )


def _checked_connection(prefix: str, connection: str) -> str:
    """Refuse what is no connection string, before each call fails by it; it is not repeated, as it holds a key."""
    pairs = [part.partition("=") for part in connection.split(";") if part.strip()]
    named = {name.strip().lower(): value for name, _, value in pairs}
    is_whole = named.keys() >= {"accountname"} or named.keys() >= {"blobendpoint", "tableendpoint"}
    if not is_whole or not all(sign for _, sign, _ in pairs):
        raise SettingsError(f"{prefix} must be a connection string, such as DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...")
    for name, value in named.items():
        if name.endswith("endpoint") and not _is_address(value.strip()):
            raise SettingsError(f"{prefix} is a connection string whose {name} is no address")
    if not _is_base64(named.get("accountkey", "")):
        raise SettingsError(f"{prefix} has an AccountKey that is not base64, as keys of storage are: copy it again")
    return connection


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True)) or not text
    except ValueError:
        return False


def _checked_address(setting: str, environment: Mapping[str, str]) -> str:
    address = environment.get(setting, "").strip()
    if address and not (re.match(r"https?://[^/\s]", address) and _is_address(address)):
        raise SettingsError(f"{setting} must be an address that begins with https://")
    return address


def _expanded(connection: str) -> str:
    """Spell out the emulator's short form, which only some SDKs know."""
    if connection.rstrip(";").lower() != _EMULATOR.lower():
        return connection
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # published by the emulator
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
        "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
        "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
        "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
    )
