"""The published API description, where a copy of it lies beside the repository: its examples, and what its schemas say."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

PUBLISHED = Path(__file__).resolve().parent.parent.parent / "shared" / "contract" / "openapi"


def example(version: str, operation: str) -> dict[str, Any]:
    """Give an example's parameters and responses; skips the test, with the reason, where there is no copy."""
    return _read(f"examples/{version}/{operation}.json")


def conforms(document: Any, version: str, definition: str) -> None:
    """Demand that a document is as this version's schema says, and has no member that the schema does not name."""
    definitions = _read(f"{version}.json")["definitions"]
    jsonschema.Draft4Validator({"$ref": f"#/definitions/{definition}", "definitions": _closed(definitions)}).validate(document)


def _closed(definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: {**schema, "additionalProperties": False} if "properties" in schema else schema for name, schema in definitions.items()}


@cache
def _read(name: str) -> dict[str, Any]:
    file = PUBLISHED / name
    if not file.exists():
        pytest.skip(f"no copy of the published API description beside the repository ({name})")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    return found
