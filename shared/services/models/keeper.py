"""The model in its owner's hands: handed out, brought back, deleted, and gone back to an earlier version of.

Each change is one conditional write of the pointer, made again when the trainer's commit came first. Watermark and counters stay: no
event is learned twice, and what is learned next is learned from the model that is published then. An older version comes back as a
copy under a new name, so names keep their order, and retention may delete the old one meanwhile.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.domain.changes import Change, ChangeKind, Member, caller
from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import (
    BusyError,
    ConflictError,
    InvalidModelImportFormatError,
    ResourceNotFoundError,
    UnreadableError,
    UnusableModelError,
)
from shared.domain.ledger import ModelKind, Origin, Pointer, Provenance, Stretch
from shared.domain.loop import LoopSettings
from shared.domain.models import Exported, KeptVersion, ModelTimes, SignedModel
from shared.domain.ports import ChangeLog, EventLog, LoopConfiguration, ModelSigner, ModelStore, PackedModel
from shared.learning import artifact
from shared.learning.learner import Learner
from shared.services.models.publishing import Content, beginning, path_of, settings_text, write_version
from shared.services.models.replay import ColdLog
from shared.services.training.retraining import without_model

logger = logging.getLogger(__name__)

_ATTEMPTS = 8
_KINDS = {ModelKind.IMPORTED: ChangeKind.MODEL_IMPORTED, ModelKind.RESTORED: ChangeKind.MODEL_RESTORED}


@dataclass(frozen=True, slots=True)
class _Given:
    """A model to be published that the trainer did not make: where it comes from, what is known of that, and all that it has learned."""

    content: Content
    kind: ModelKind
    source: str = ""
    made_of: Provenance | None = None
    path: tuple[Stretch, ...] = ()


class ModelKeeper:
    """Looks after the models of one loop."""

    def __init__(  # noqa: PLR0913 - it works on every part of a loop's storage
        self,
        log: EventLog,
        joined: ColdLog,
        store: ModelStore,
        configuration: LoopConfiguration,
        signer: ModelSigner,
        *,
        clock: Clock,
        changes: ChangeLog | None = None,
    ) -> None:
        self._changes = changes
        self._log = log
        self._joined = joined
        self._store = store
        self._configuration = configuration
        self._signer = signer
        self._clock = clock

    async def export(self) -> Exported:
        """Give the published model as its learner's state, from which Rank's part follows; one that knows nothing if there is none.

        Raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`, as all else here does.
        """
        for _ in range(_ATTEMPTS):
            stored = await self._store.pointer()
            if stored is None or not stored[0].version:
                return Exported(artifact.dump_state(Learner.cold()), stored[0].published_at if stored else None)
            try:
                return Exported(await self._store.state(stored[0].version), stored[0].published_at)
            except UnreadableError:  # gone, if another was published meanwhile and retention came by
                if await self._is_published(stored[0].version):
                    raise
        raise _busy()

    async def export_signed(self) -> tuple[SignedModel, Exported]:
        """Give the same with this deployment's signature."""
        exported = await self.export()
        return await self._signer.sign(exported.model), exported

    async def times(self) -> ModelTimes | None:
        """Tell when the published model began and changed; None before the first commit."""
        stored = await self._store.pointer()
        if stored is None or stored[0].published_at == EPOCH:
            return None
        pointer = stored[0]
        return ModelTimes(pointer.origin.at if pointer.origin.at > EPOCH else pointer.published_at, pointer.published_at)

    async def import_(self, signed: SignedModel) -> None:
        """Publish a model that was handed out; what is learned from now on is learned from it.

        Doing so again while it is published changes nothing. Raises `InvalidModelImportSignatureError`,
        `InvalidModelImportFormatError`, or `BusyError` when others kept committing.
        """
        await self._signer.verify(signed)
        await self._import(lambda: signed.model)

    async def import_packed(self, packed: PackedModel) -> None:
        """Do the same with one that is still packed; it is unpacked as a whole only once its signature is verified."""
        await self._signer.verify_packed(packed)
        await self._import(packed.model)

    async def _import(self, model: Callable[[], bytes]) -> None:
        try:
            content = await asyncio.to_thread(lambda: _read(model()))
        except UnreadableError as cause:
            raise InvalidModelImportFormatError(f"model.vw: {cause}", target="model.vw") from cause
        await self._publish(_Given(content, ModelKind.IMPORTED))

    async def delete(self) -> None:
        """Take the model away: what is learned next is learned from nothing. Raises `BusyError` when others kept committing."""

        async def taken_away(pointer: Pointer, loop: LoopSettings) -> Pointer | None:
            if not pointer.version and pointer.resets == loop.resets:
                return None
            return without_model(pointer, at=self._clock.now(), resets=loop.resets)

        await self._commit(taken_away, ChangeKind.MODEL_DELETED)

    async def versions(self) -> list[KeptVersion]:
        """List the models that were published and are still there, newest first."""
        models = await self._joined.models()
        stored = await self._store.pointer()
        published = stored[0].version if stored else ""
        version = published or (stored[0].previous if stored else "")
        found: dict[str, KeptVersion] = {}
        while version in models and version not in found:
            found[version] = _kept(version, models[version], is_published=version == published)
            version = models[version].replaced
        return [*found.values()]

    async def restore(self, version: str) -> KeptVersion:
        """Publish a copy of a kept model, and tell of it; of the one that is published there is no need to make another.

        Raises `ResourceNotFoundError` for one that is not kept, `UnusableModelError`, or `BusyError` when others kept committing.
        """
        made_of, path = await self._made_of(version)
        try:
            content = await asyncio.to_thread(_read, await self._store.state(version))
        except UnreadableError as cause:
            await self._made_of(version)  # it may be gone, if others were published meanwhile
            raise UnusableModelError(f"model {version} cannot be restored: {cause}", target="version") from cause
        pointer = await self._publish(_Given(content, ModelKind.RESTORED, version, made_of, path))
        for kept in await self.versions():
            if kept.version == pointer.version:
                return kept
        raise _busy()  # gone again: others must have published a lot meanwhile

    async def _made_of(self, version: str) -> tuple[Provenance, tuple[Stretch, ...]]:
        models = await self._joined.models()
        if version not in models:
            raise ResourceNotFoundError(f"there is no model {version[:80]!r} among those that are kept", target="version")
        return models[version], path_of(version, models)

    async def _is_published(self, version: str) -> bool:
        stored = await self._store.pointer()
        return stored is not None and stored[0].version == version

    async def _publish(self, given: _Given) -> Pointer:
        """Publish a model, and give the pointer to it; one that is published already stays as it is."""

        async def pointing(pointer: Pointer, loop: LoopSettings) -> Pointer | None:
            if pointer.version.endswith(f"-{given.content.digest}") and pointer.resets == loop.resets:
                return None
            return await self._written(given, pointer, loop)

        return await self._commit(pointing, _KINDS[given.kind])

    async def _written(self, given: _Given, pointer: Pointer, loop: LoopSettings) -> Pointer:
        """Write a model as the next version, and give the pointer that will publish it."""
        now, made_of = self._clock.now(), given.made_of
        version = given.content.version(pointer.sequence + 1)
        began = made_of.origin.at if made_of is not None and made_of.origin.at > EPOCH else now
        origin = Origin(version, pointer.chunk, began, given.path)
        provenance = Provenance(
            parent=given.source,
            since=made_of.since if made_of else pointer.watermark,
            until=made_of.until if made_of else pointer.watermark,
            chunk=pointer.chunk,
            learned=given.content.learned,
            settings=made_of.settings if made_of else settings_text(loop),
            kind=given.kind,
            published_at=now,
            replaced=pointer.version or pointer.previous,
            origin=origin,
        )
        await write_version(self._store, version, given.content, provenance=provenance)
        return replace(
            pointer,
            sequence=pointer.sequence + 1,
            version=version,
            published_at=now,
            learned=given.content.learned,
            previous="",
            resets=loop.resets,
            origin=origin,
        )

    async def _committed(self, before: Pointer, new: Pointer, kind: ChangeKind, etag: str | None) -> None:
        """Commit, and keep in the list of the loop's changes who wanted it."""
        if self._changes is None:
            await self._store.commit(new, expected=etag)
            return
        told = Change(self._clock.now(), caller(), kind, (Member("model", before.version or None, new.version or None),))
        await self._changes.begin(told)
        try:
            await self._store.commit(new, expected=etag)
        except ConflictError:
            await self._changes.withdraw(told)
            raise
        await self._changes.settle(told)

    async def _commit(self, change: Callable[[Pointer, LoopSettings], Awaitable[Pointer | None]], kind: ChangeKind) -> Pointer:
        """Replace the pointer by what ``change`` makes of it (None: it may stay), and give the one that holds then.

        The latest wish counts: resets that were asked for before and not made yet are not made any more.
        """
        for _ in range(_ATTEMPTS):
            stored, etag = await self._store.pointer() or (None, None)
            loop = await asyncio.to_thread(self._configuration.read)
            pointer = stored or await beginning(self._log, loop, clock=self._clock)
            self._log.follow(pointer.log)
            new = await change(pointer, loop)
            if new is None:
                return pointer
            try:
                await self._committed(pointer, new, kind, etag)
            except ConflictError:
                continue
            logger.info("model changed by hand", extra={"model_version": new.version, "before": pointer.version})
            return new
        raise _busy()


def _read(state: bytes) -> Content:
    """Read a learner's state as one that can be gone on from: Rank can load what follows from it.

    It is as this release writes it, or as an earlier one did: then it is written anew.
    """
    learner = artifact.load_learner(state)
    content = Content.of(learner)
    if content.state != state and not artifact.is_earlier(state):
        raise UnreadableError("the model is not as this release writes one")
    artifact.load_model(content.model)
    return content


def _kept(version: str, made_of: Provenance, *, is_published: bool) -> KeptVersion:
    return KeptVersion(
        version=version,
        published_at=made_of.published_at if made_of.published_at > EPOCH else None,
        kind=made_of.kind,
        parent=made_of.parent,
        learned=made_of.learned,
        since=made_of.since,
        until=made_of.until,
        is_published=is_published,
    )


def _busy() -> BusyError:
    return BusyError("other commits came first every time; repeat the call")
