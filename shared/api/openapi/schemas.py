"""Schemas of the wire models, as components that refer to each other."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter

from shared.api.wire import WireModel

REFERENCE = "#/components/schemas/{model}"
_NULL = {"type": "null"}


class Components:
    """Collects the schemas that an OpenAPI document refers to."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    @property
    def schemas(self) -> dict[str, Any]:
        """All schemas, by name."""
        return dict(sorted(self._found.items()))

    def asked(self, kinds: Iterable[Any]) -> dict[Any, Any]:
        """Give the schema of each model as it is read."""
        return self._add(kinds, "validation", leaves_nulls_out=False)

    def answered(self, kinds: Iterable[Any]) -> dict[Any, Any]:
        """Give the schema of each model as it is written: what can be null is left out then, but where a model says otherwise."""
        distinct = list(dict.fromkeys(kinds))
        plain = [kind for kind in distinct if _leaves_nulls_out(kind)]
        others = [kind for kind in distinct if kind not in plain]
        return self._add(plain, "serialization", leaves_nulls_out=True) | self._add(others, "serialization", leaves_nulls_out=False)

    def _add(self, kinds: Iterable[Any], mode: Literal["validation", "serialization"], *, leaves_nulls_out: bool) -> dict[Any, Any]:
        distinct = list(dict.fromkeys(kinds))
        adapters = [(number, mode, TypeAdapter(kind)) for number, kind in enumerate(distinct)]
        found, shared = TypeAdapter.json_schemas(adapters, by_alias=True, ref_template=REFERENCE)
        for name, schema in shared.get("$defs", {}).items():
            self._keep(name, _without_nulls(schema) if leaves_nulls_out else schema)
        return {kind: self._tidied(found[number, mode]) for number, kind in enumerate(distinct)}

    def _keep(self, name: str, schema: Any) -> None:
        tidied = self._tidied(schema, is_named=True)
        if self._found.setdefault(name, tidied) != tidied:
            raise ValueError(f"two schemas are called {name}")

    def _tidied(self, schema: Any, *, is_named: bool = False) -> Any:
        """Leave out titles, and all of a docstring but its first paragraph; name the models that stand inside others."""
        if isinstance(schema, list):
            return [self._tidied(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if not is_named and "properties" in schema and "title" in schema:
            self._keep(schema["title"], schema)
            return {"$ref": REFERENCE.format(model=schema["title"])}
        return {name: self._member(name, value) for name, value in schema.items() if not _is_noise(name, value)}

    def _member(self, name: str, value: Any) -> Any:
        if name == "description":
            return plain(value)
        if name in ("properties", "$defs"):
            return {each: self._tidied(schema) for each, schema in value.items()}
        return value if name in ("enum", "required", "examples") else self._tidied(value)


def plain(docstring: str) -> str:
    r"""Give a docstring's first paragraph on one line.

    >>> plain("What is there\nnow, as ``this``.\n\nMore.")
    'What is there now, as `this`.'
    """
    return re.sub(r"\s+", " ", docstring.strip().split("\n\n")[0]).replace("``", "`")


def _is_noise(name: str, value: Any) -> bool:
    return (name == "title" and isinstance(value, str)) or (name == "default" and value is None)


def _leaves_nulls_out(kind: Any) -> bool:
    return getattr(kind, "to_wire", WireModel.to_wire) is WireModel.to_wire


def _without_nulls(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a model that is written without its members that are null."""
    properties = schema.get("properties", {})
    optional = {name for name, each in properties.items() if _NULL in each.get("anyOf", ())}
    described = {name: _not_null(each) if name in optional else each for name, each in properties.items()}
    required = [name for name in schema.get("required", ()) if name not in optional]
    kept = {name: value for name, value in schema.items() if name not in ("properties", "required")}
    return kept | ({"properties": described} if described else {}) | ({"required": required} if required else {})


def _not_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    others = [each for each in schema["anyOf"] if each != _NULL]
    kept = {name: value for name, value in schema.items() if name != "anyOf"}
    return kept | (others[0] if len(others) == 1 else {"anyOf": others})
