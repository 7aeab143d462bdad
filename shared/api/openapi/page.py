"""The OpenAPI document as a page: one file without scripts, that asks nobody else for anything."""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from shared.api.openapi.document import CODES, LINE

_STYLE: Final = Path(__file__).with_name("page.css").read_text("utf-8")
_PAGE: Final = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""The browser fetches nothing and runs nothing; the one style is the page's own."""

_BOUNDS: Final = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "like `{}`",
    "default": "else `{}`",
}

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation under all of its paths, with the parameters of all; ``described`` is what the last of them says, which knows most."""

    method: str
    paths: Sequence[str]
    ids: Sequence[str]
    described: Node

    @property
    def anchor(self) -> str:
        return f"operation-{self.described['operationId']}"


@dataclass(frozen=True, slots=True)
class _Known:
    """What operations refer to: the document's components, and where on the page each operation is, by its id."""

    components: Node
    anchors: Mapping[str, str]


def page(document: Node) -> str:
    """Write the page for a document of `shared.api.openapi.document`."""
    operations = _operations(document)
    known = _Known(document["components"], {each: operation.anchor for operation in operations for each in operation.ids})
    by_tag = {tag["name"]: [each for each in operations if tag["name"] in each.described["tags"]] for tag in document["tags"]}
    info, components = document["info"], document["components"]
    return _PAGE.substitute(
        title=_text(info["title"]),
        release=_text(info["version"]),
        about=_paragraph(info["description"]),
        openapi=_text(document["openapi"]),
        style=_STYLE,
        contents=_list(f'<a href="#{anchor}">{_text(name)}</a>' for name, anchor in _sections(by_tag)),
        operations="\n".join(_tag(tag, by_tag[tag["name"]], known) for tag in document["tags"]),
        keys=_table("Headers", ("key", "header", "meaning"), [_key(*each) for each in components["securitySchemes"].items()]),
        errors=_table("Codes", ("status", "code", "meaning"), _codes(document)),
        schemas="\n".join(_schema(name, schema) for name, schema in components["schemas"].items()),
    )


def _operations(document: Node) -> Sequence[_Operation]:
    """Gather the operations; one that is the same in versions of the path and in that of the query is told once."""
    forms: dict[tuple[str, str], list[tuple[str, str, Node]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            name = described["operationId"].removesuffix("_2022")
            forms[name, json.dumps(described.get("requestBody"))].append((path, method, described))
    return [_operation_of(sorted(each, key=_names_no_version)) for each in forms.values()]


def _names_no_version(form: tuple[str, str, Node]) -> bool:
    return "{version}" not in form[0]


def _operation_of(forms: Sequence[tuple[str, str, Node]]) -> _Operation:
    _, method, described = forms[-1]
    parameters = {each["name"]: each for _, _, form in forms for each in form.get("parameters", ())}
    paths, ids = [_with_query(path, form) for path, _, form in forms], [form["operationId"] for _, _, form in forms]
    return _Operation(method.upper(), paths, ids, {**described, "parameters": [*parameters.values()]})


def _with_query(path: str, described: Node) -> str:
    versions = [each["schema"]["enum"][0] for each in described.get("parameters", ()) if each["name"] == "api-version"]
    return f"{path}?api-version={versions[0]}" if versions else path


def _sections(by_tag: Mapping[str, Sequence[_Operation]]) -> Iterator[tuple[str, str]]:
    yield from ((name, _anchor(name)) for name in by_tag)
    yield from (("Keys", "keys"), ("Errors", "errors"), ("Schemas", "schemas"))


def _tag(tag: Node, operations: Sequence[_Operation], known: _Known) -> str:
    told = "\n".join(_operation(each, known) for each in operations)
    return f'<section id="{_anchor(tag["name"])}">\n<h2>{_text(tag["name"])}</h2>\n{_paragraph(tag["description"])}\n{told}\n</section>'


def _operation(operation: _Operation, known: _Known) -> str:
    described = operation.described
    paths = "".join(f'<span class="path"><code>{_text(path)}</code></span>' for path in operation.paths)
    parts = [
        f'<summary><span class="method">{_text(operation.method)}</span> <h3>{_text(described["summary"])}</h3>{paths}</summary>',
        _paragraph(described.get("description", "")),
        _paragraph(_needs(described["security"])),
        _parameters(described.get("parameters", ())),
        _request(described.get("requestBody")),
        _answers(described["responses"], known.components),
        _following(described["responses"], known.anchors),
    ]
    return f'<details id="{operation.anchor}">\n{_lines(parts)}\n</details>'


def _needs(security: Sequence[Node]) -> str:
    names = [name for each in security for name in each]
    if not names:
        return "Needs no key."
    return f"{'May have' if {} in security else 'Needs'} the `{names[0]}` in `Ocp-Apim-Subscription-Key`."


def _parameters(parameters: Sequence[Node]) -> str:
    rows = [
        (
            f"<code>{_text(each['name'])}</code>",
            _text(each["in"]),
            _kind(each["schema"]),
            _needed(each["required"]),
            _marked(each["description"]),
        )
        for each in parameters
    ]
    return _table("Parameters", ("name", "in", "type", "needed", "meaning"), rows) if rows else ""


def _request(body: Node | None) -> str:
    if body is None:
        return ""
    media_type, content = next(iter(body["content"].items()))
    kind = f"one {_kind(content[LINE])} a line" if LINE in content else _kind(content["schema"])
    needed = "" if body["required"] else "Optional: "
    told = f"<p>{needed}<code>{_text(media_type)}</code>, {kind}. {_marked(body.get('description', ''))}</p>"
    return f"<h4>Request body</h4>\n{told}\n{_example(content)}"


def _answers(responses: Node, components: Node) -> str:
    resolved = {status: _resolved(each, components) for status, each in responses.items()}
    rows = [(_text(status), _content_of(each), _marked(each["description"])) for status, each in resolved.items()]
    examples = [_example(content) for status, each in resolved.items() if status < "3" for content in each.get("content", {}).values()]
    told = _table("Answers", ("status", "content", "meaning"), rows)
    return "\n".join([told, *(f"<h4>Example of an answer</h4>\n{each}" for each in examples if each)])


def _following(responses: Node, anchors: Mapping[str, str]) -> str:
    """List the operations that may follow on an answer."""
    links = {each["operationId"]: each["description"] for response in responses.values() for each in response.get("links", {}).values()}
    items = [f'<a href="#{anchors[name]}">{_text(description)}</a>' for name, description in links.items()]
    return f"<h4>Calls that may follow</h4>\n{_list(items)}" if items else ""


def _resolved(response: Node, components: Node) -> Node:
    if "$ref" not in response:
        return response
    found: Node = components["responses"][response["$ref"].rpartition("/")[2]]
    return found


def _content_of(response: Node) -> str:
    return ", ".join(
        f"<code>{_text(media_type)}</code> {_kind(content['schema'])}" for media_type, content in response.get("content", {}).items()
    )


def _example(content: Node) -> str:
    if "example" not in content:
        return ""
    example = content["example"]
    text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return f'<pre tabindex="0" role="region" aria-label="Example"><code>{_text(text.rstrip())}</code></pre>'


def _key(name: str, scheme: Node) -> Sequence[str]:
    return (f"<code>{_text(name)}</code>", f"<code>{_text(scheme['name'])}</code>", _marked(scheme["description"]))


def _codes(document: Node) -> Iterable[Sequence[str]]:
    answers = [
        (status, _resolved(each, document["components"]))
        for methods in document["paths"].values()
        for described in methods.values()
        for status, each in described["responses"].items()
    ]
    shared = [(name.partition("-")[0], each) for name, each in document["components"]["responses"].items()]
    found = {(status, code): meaning for status, each in answers + shared for code, meaning in each.get(CODES, {}).items()}
    return [(status, f"<code>{_text(code)}</code>", _marked(meaning)) for (status, code), meaning in sorted(found.items())]


def _schema(name: str, schema: Node) -> str:
    required = schema.get("required", ())
    rows = [
        (f"<code>{_text(member)}</code>", _kind(each), _needed(member in required)) for member, each in schema.get("properties", {}).items()
    ]
    told = _table(f"Members of {name}", ("name", "type", "needed"), rows) if rows else ""
    return f'<section id="schema-{name}">\n<h3>{_text(name)}</h3>\n{_paragraph(schema.get("description", ""))}\n{told}\n</section>'


def _kind(schema: Node) -> str:
    """Say in a few words what a value is, with a link to what it is made of."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{_text(name)}</a>'
    if "allOf" in schema:
        return _kind(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{_text(str(each))}</code>" for each in schema["enum"]) + _bounds(schema)
    if "prefixItems" in schema:
        return f"array of {', '.join(_kind(each) for each in schema['prefixItems'])}"
    if "items" in schema:
        return f"array of {_kind(schema['items'])}{_bounds(schema)}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    kinds = schema.get("type", "anything")
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    return f"{_text(schema.get('format') or kind)}{_bounds(schema)}"


def _bounds(schema: Node) -> str:
    told = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema and schema[name] not in ("", [])]
    return f' <span class="faint">({_marked(", ".join(told))})</span>' if told else ""


def _needed(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "\n".join(_row(row) for row in rows)
    told = f"<caption>{_text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="scroll">\n<table>\n{told}\n</table>\n</div>'


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{each}</td>" for each in others)}</tr>'


def _list(items: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _paragraph(text: str) -> str:
    return f"<p>{_marked(text)}</p>" if text else ""


def _marked(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _text(text: str) -> str:
    return escape(text, quote=True)


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)
