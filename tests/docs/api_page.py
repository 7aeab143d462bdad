"""docs/api.md, from the description of the API: ``python -m tests.docs.api_page`` writes it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.api.openapi.document import CODES, LINE
from tests.http.described import document, resolved
from tests.running import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "api.md"

_BEGINNING: Final = """# API reference

Every operation. `make docs` writes this page from the same description as `/openapi.json` and `/docs` ([a client from
it](how-to/point-an-sdk-app-here.md#a-client-from-the-apis-description)), and a test compares them. Rules that need words are in the
[reference](reference.md).

`{version}` is one of the versions named with the path. A path without it needs the query that follows it. Each path exists after
`/loops/{loop}` too, for [another loop](how-to/serve-many-loops.md), unless it needs the administrator's key. The key goes in the
header `Ocp-Apim-Subscription-Key`. Every operation that needs a key can answer 401, 500 and 503. Other errors are named with each
operation, and [all codes](#codes) are at the end.
"""
_ANYWHERE: Final = ("401", "500", "503")
_KEYS: Final = {"key": "a loop's key", "administrator": "the administrator's key"}
_BOUNDS: Final = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " of them"))
_NULL: Final = {"type": "null"}

Node = Mapping[str, Any]
Form = tuple[str, str, Node]
"""Path, method and what the document says of the operation."""


def written() -> str:
    """Write the page."""
    told = document()
    forms = list(_forms(told))
    sections = [_tag(tag, [form for form in forms if tag["name"] in form[2]["tags"]]) for tag in told["tags"]]
    schemas = [_schema(name, schema) for name, schema in told["components"]["schemas"].items() if name != "ErrorResponse"]
    return "\n".join([_BEGINNING, *sections, "## Codes\n", *_codes(told), "\n## Schemas\n", *schemas]).rstrip() + "\n"


def _forms(told: Node) -> Iterator[Form]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _tag(tag: Node, forms: Sequence[Form]) -> str:
    """Tell all operations of a tag; the forms of one, with a version in the path and without, together."""
    together: dict[str, list[Form]] = defaultdict(list)
    for form in forms:
        together[form[2]["operationId"].removesuffix("_2022")].append(form)
    told = "\n".join(_operation(each) for each in together.values())
    return f"## {tag['name']}\n\n{tag['description']}\n\n{told}"


def _operation(forms: Sequence[Form]) -> str:
    _, _, operation = forms[-1]
    described = operation.get("description", "")
    facts = [f"* {each}" for each in [*_parameters(forms), *_bodies(forms), *_answers(forms), _following(forms), _refusals(forms)] if each]
    return "\n".join([f"### {operation['summary']}", "", *([described, ""] if described else []), *_paths(forms), *facts, ""])


def _paths(forms: Sequence[Form]) -> Iterator[str]:
    for path, method, operation in forms:
        yield f"* `{method} {path}{_query(operation)}`{_versions(operation)}"
    yield f"* opened by {_opened_by(forms[-1][2])}"


def _query(operation: Node) -> str:
    return next((f"?api-version={each['schema']['enum'][0]}" for each in _all(operation) if each["name"] == "api-version"), "")


def _versions(operation: Node) -> str:
    return next((f": {', '.join(each['schema']['enum'])}" for each in _all(operation) if each["name"] == "version"), "")


def _opened_by(operation: Node) -> str:
    names = [name for each in operation["security"] for name in each]
    if not names:
        return "anyone"
    return f"anyone, and wider by {_KEYS[names[0]]}" if {} in operation["security"] else _KEYS[names[0]]


def _all(operation: Node) -> Sequence[Node]:
    parameters: Sequence[Node] = operation.get("parameters", ())
    return parameters


def _parameters(forms: Sequence[Form]) -> Iterator[str]:
    found = {each["name"]: each for _, _, operation in forms for each in _all(operation)}
    for name, each in found.items():
        if name not in ("version", "api-version"):
            needed = "needed" if each["required"] else "optional"
            yield f"`{name}` in the {each['in']}, {needed}, {_kind(each['schema'])}: {each['description']}"


def _bodies(forms: Sequence[Form]) -> Iterator[str]:
    """Tell the request's body, once where it is the same in all versions."""
    found: dict[str, list[str]] = defaultdict(list)
    for _, _, operation in forms:
        body = operation.get("requestBody")
        if body is not None:
            media_type, content = next(iter(body["content"].items()))
            kind = f"a {_kind(content[LINE])} a line" if LINE in content else _kind(content["schema"])
            about = f": {body['description']}" if body.get("description") else ""
            found[f"`{media_type}`, {kind}{'' if body['required'] else ', optional'}{about}"].append(_query(operation))
    for told, queries in found.items():
        where = f" with `{queries[0]}`" if len(found) > 1 and queries[0] else ""
        yield f"body{where}: {told}"


def _answers(forms: Sequence[Form]) -> Iterator[str]:
    found: dict[str, None] = {}
    for _, _, operation in forms:
        for status, answer in operation["responses"].items():
            if status < "4":
                kinds = [_kind(content["schema"]) for content in answer.get("content", {}).values()]
                found[f"**{status}**{''.join(f' {kind}' for kind in kinds)}: {answer['description']}"] = None
    yield from found


def _following(forms: Sequence[Form]) -> str:
    """Name the operations that may follow on an answer, each once."""
    summaries = {operation["operationId"]: operation["summary"] for _, _, operation in _forms(document())}
    links = [link for _, _, operation in forms for answer in operation["responses"].values() for link in answer.get("links", {}).values()]
    found = dict.fromkeys(summaries[link["operationId"]] for link in links)
    return f"may be followed by: {'; '.join(found)}" if found else ""


def _refusals(forms: Sequence[Form]) -> str:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for _, _, operation in forms:
        for status, answer in operation["responses"].items():
            if status >= "4":
                found[status] |= dict.fromkeys(resolved(answer)[CODES])
    told = [f"{status} {', '.join(f'`{code}`' for code in codes)}" for status, codes in sorted(found.items()) if status not in _ANYWHERE]
    return f"refused: {'; '.join(told)}" if told else ""


def _codes(told: Node) -> Iterator[str]:
    answers = [(status, resolved(each)) for _, _, operation in _forms(told) for status, each in operation["responses"].items()]
    shared = [(name.partition("-")[0], each) for name, each in told["components"]["responses"].items()]
    found = {(status, code): meaning for status, each in answers + shared for code, meaning in each.get(CODES, {}).items()}
    yield 'The body is `{"error": {"code": ..., "message": ..., "target": ...}}`; the code is also in the header `x-ms-error-code`.\n'
    yield from ("| status | code | when |", "|---|---|---|")
    yield from (f"| {status} | `{code}` | {meaning} |" for (status, code), meaning in sorted(found.items()))


def _schema(name: str, schema: Node) -> str:
    required = schema.get("required", ())
    members = [
        f"| `{member}` | {_kind(each)} | {'yes' if member in required else ''} |" for member, each in schema.get("properties", {}).items()
    ]
    table = ["", "| member | | needed |", "|---|---|---|", *members] if members else []
    return "\n".join([f"### {name}", "", schema.get("description", ""), *table, ""])


def _kind(schema: Node) -> str:
    """Say in a few words what a value is; that it may be null goes without saying, where it is not needed."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "allOf" in schema:
        return _kind(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each != _NULL)
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "items" in schema:
        return f"array of {_kind(schema['items'])}{_bounds(schema)}"
    if "prefixItems" in schema:
        return f"array of {', '.join(_kind(each) for each in schema['prefixItems'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    kinds = schema.get("type", "anything")
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    return f"{schema.get('format') or kind}{_bounds(schema)}"


def _bounds(schema: Node) -> str:
    told = [_span(schema.get(least), schema.get(most), unit) for least, most, unit in _BOUNDS]
    return f" ({', '.join(each for each in told if each)})" if any(told) else ""


def _span(least: float | None, most: float | None, unit: str) -> str:
    """Say from where to where.

    >>> _span(-1.0, 1.0, ""), _span(1, 256, " characters"), _span(None, 64, " characters"), _span(0, None, ""), _span(None, None, "")
    ('-1 to 1', '1 to 256 characters', 'at most 64 characters', 'at least 0', '')
    """
    low, high = (None if each is None else f"{int(each) if each == int(each) else each}" for each in (least, most))
    if low is None and high is None:
        return ""
    if low is not None and high is not None:
        return f"{low} to {high}{unit}"
    return f"at least {low}{unit}" if high is None else f"at most {high}{unit}"


def main() -> None:
    """Write the page where it belongs."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
