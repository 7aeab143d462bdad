"""What a model was made of, as the metadata of its file: short texts in ASCII."""

from collections.abc import Mapping, Sequence

import orjson

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import ModelKind, Origin, Provenance, Stretch

FORMAT = 2
"""The first format knew trained models only, and nothing of where a line of models begins."""


def write_provenance(provenance: Provenance) -> dict[str, str]:
    """Write as labels."""
    labels = {
        "format": str(FORMAT),
        "parent": provenance.parent,
        "since": str(to_micros(provenance.since)),
        "until": str(to_micros(provenance.until)),
        "chunk": provenance.chunk,
        "learned": str(provenance.learned),
        "settings": provenance.settings,
        "kind": provenance.kind.value,
        "published": str(to_micros(provenance.published_at)),
        "replaced": provenance.replaced,
        "first": provenance.first,
        "origin": provenance.origin.version,
        "originchunk": provenance.origin.chunk,
        "originat": str(to_micros(provenance.origin.at)),
    }
    return labels | ({"originpath": _path_text(provenance.origin.path)} if provenance.origin.path else {})


def read_provenance(name: str, labels: Mapping[str, str]) -> Provenance:
    """Inverse of `write_provenance`; raises `NewerFormatError` or `UnreadableError`, which call the model ``name``."""
    try:
        if int(labels["format"]) > FORMAT:
            raise NewerFormatError(name, found=int(labels["format"]), known=FORMAT)
        return Provenance(
            parent=labels["parent"],
            since=from_micros(int(labels["since"])),
            until=from_micros(int(labels["until"])),
            chunk=labels["chunk"],
            learned=int(labels["learned"]),
            settings=labels["settings"],
            kind=ModelKind(labels.get("kind", ModelKind.TRAINED)),
            published_at=from_micros(int(labels.get("published", 0))),
            replaced=replaced(labels),
            first=labels.get("first", ""),
            origin=Origin(
                labels.get("origin", ""),
                labels.get("originchunk", ""),
                from_micros(int(labels.get("originat", 0))),
                _path(labels.get("originpath", "")),
            ),
        )
    except (LookupError, TypeError, ValueError, OverflowError) as cause:
        raise UnreadableError(f"{name} does not name its sources: {cause}") from cause


def replaced(labels: Mapping[str, str]) -> str:
    """Tell which model was published before the one with these labels ("": none, or they do not say); the first format had it as parent."""
    return labels.get("replaced", labels.get("parent", ""))


def _path_text(path: Sequence[Stretch]) -> str:
    """Write a path as JSON; names of chunks and settings are in ASCII."""
    return orjson.dumps([[each.last, each.behind, each.first, each.rewards] for each in path]).decode("ascii")


def _path(text: str) -> tuple[Stretch, ...]:
    return tuple(Stretch(*map(str, each)) for each in orjson.loads(text)) if text else ()
