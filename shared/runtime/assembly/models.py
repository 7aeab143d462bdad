"""The models of a loop, what belongs to them, and what signs them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.assembly.process import Common
    from shared.runtime.loop_services import LoopServices
    from shared.runtime.pruning_store import PruningModelStore
    from shared.services.models.comparing import Comparer
    from shared.services.models.keeper import ModelKeeper
    from shared.services.serving.handing_out import HandingOut
    from shared.services.serving.tickets import Tickets
    from shared.storage.signing_keys import FileModelSigner


def build_signer(common: "Common") -> "FileModelSigner":
    """Give what signs models."""
    from shared.storage.signing_keys import FileModelSigner

    return FileModelSigner(common.storage, clock=common.clock)


def build_store(loop: "LoopServices") -> "PruningModelStore":
    """Give the store of the models, and of what belongs to them."""
    from shared.runtime.pruning_store import PruningModelStore

    return PruningModelStore(loop.storage, loop=loop.place, models_kept=loop.settings.models_kept)


def build_keeper(loop: "LoopServices") -> "ModelKeeper":
    """Give what hands models out, takes them back and deletes them."""
    from shared.services.models.keeper import ModelKeeper
    from shared.storage import names
    from shared.storage.change_log import FileChangeLog
    from shared.storage.files import Files

    changes = FileChangeLog(Files(loop.storage, names.MODELS), loop=loop.place)
    return ModelKeeper(loop.log, loop.joined, loop.store, loop.configuration, loop.common.signer, clock=loop.clock, changes=changes)


def build_tickets(common: "Common") -> "Tickets":
    """Give what writes and reads tickets."""
    from shared.services.serving.tickets import Tickets

    return Tickets(common.signer)


def build_handing_out(loop: "LoopServices") -> "HandingOut":
    """Give what hands out the model that is served."""
    from shared.services.serving.handing_out import HandingOut

    interval = loop.settings.model_poll_interval
    return HandingOut(loop.models, loop.store, loop.common.tickets, place=loop.place, poll_interval=interval)


def build_comparer(loop: "LoopServices") -> "Comparer":
    """Give what puts two versions side by side."""
    from shared.services.models.comparing import Comparer

    return Comparer(loop.keeper, loop.joined, loop.store)
