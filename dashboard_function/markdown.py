"""Markdown as the documentation writes it, made HTML: headings, paragraphs, lists, tables, code, links. All else stays text."""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

Address = Callable[[str], str | None]
"""Where a link leads, by what the text says; None for one that leads nowhere here, which becomes text."""

_HEADING: Final = re.compile(r"(#{1,6}) +(.*)")
_ITEM: Final = re.compile(r"( *)([*-]|\d+\.) +(.*)")
_RULE: Final = re.compile(r"[|:\- ]+")
_CELLS: Final = re.compile(r"(?<!\\)\|")
_PICTURE: Final = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_INLINE: Final = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)|\[(?P<text>(?:[^\[\]`]|`[^`]*`)+)\]\((?P<target>[^()\s]+)\)|<(?P<plain>https?://[^>\s]+)>"
    r"|\*\*(?P<strong>.+?)\*\*|(?<![\w*])\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"
)
_NOT_IN_IDS: Final = re.compile(r"[^\w\- ]")


def headline(text: str) -> str:
    r"""Give the text of the first heading.

    >>> headline("# How `it` works\n\nWell.")
    'How it works'
    """
    found = re.search(r"^# +(.*)$", text, re.MULTILINE)
    return found[1].replace("`", "") if found else ""


def html_of(text: str, address: Address) -> str:
    r"""Write it as HTML; what looks like markup in it is text.

    >>> print(html_of("## A *b*\n\nSee [c](c.md) <d>\nand `e < f`.", lambda target: f"/{target}"))
    <h2 id="a-b">A <em>b</em></h2>
    <p>See <a href="/c.md">c</a> &lt;d&gt; and <code>e &lt; f</code>.</p>
    """
    return "\n".join(_blocks(text.splitlines(), address))


def _blocks(lines: Sequence[str], address: Address) -> list[str]:
    found: list[str] = []
    at = tables = 0
    while at < len(lines):
        line = lines[at]
        end = at + 1
        if not line.strip() or _PICTURE.fullmatch(line.strip()):
            pass
        elif line.startswith("```"):
            end = next((number for number in range(at + 1, len(lines)) if lines[number].startswith("```")), len(lines))
            found.append(_code(lines[at + 1 : end]))
            end += 1
        elif heading := _HEADING.fullmatch(line):
            level = len(heading[1])
            found.append(f'<h{level} id="{_id(heading[2])}">{_inline(heading[2], address)}</h{level}>')
        elif line.startswith("|"):
            end = _end(lines, at, lambda each: each.startswith("|"))
            tables += 1
            found.append(_table(lines[at:end], tables, address))
        elif _ITEM.fullmatch(line):
            end = _end(lines, at, lambda each: bool(_ITEM.fullmatch(each)) or (each.startswith(" ") and bool(each.strip())))
            found.append(_list(lines[at:end], address))
        else:
            end = _end(lines, at, _is_of_paragraph)
            found.append(f"<p>{_inline(' '.join(each.strip().removeprefix('> ') for each in lines[at:end]), address)}</p>")
        at = end
    return found


def _end(lines: Sequence[str], start: int, goes_on: Callable[[str], bool]) -> int:
    return next((number for number in range(start + 1, len(lines)) if not goes_on(lines[number])), len(lines))


def _is_of_paragraph(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("|", "```")) and not _HEADING.fullmatch(line) and not _ITEM.fullmatch(line)


def _code(lines: Sequence[str]) -> str:
    text = escape("\n".join(lines))
    return f'<pre tabindex="0"><code>{text}</code></pre>'


def _table(lines: Sequence[str], number: int, address: Address) -> str:
    rows = [_CELLS.split(line.strip().removeprefix("|").removesuffix("|")) for line in lines if not _RULE.fullmatch(line)]
    written = [[_inline(cell.strip().replace("\\|", "|"), address) for cell in row] for row in rows]
    head = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in written[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in written[1:])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table {number}">{table}</div>'


def _list(lines: Sequence[str], address: Address) -> str:
    depth = len(lines[0]) - len(lines[0].lstrip())
    tag = "ol" if lines[0].lstrip()[0].isdigit() else "ul"
    items: list[list[str]] = []
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found and len(found[1]) <= depth:
            items.append([found[3]])
        else:
            items[-1].append(line)
    return f"<{tag}>{''.join(f'<li>{_item(each, address)}</li>' for each in items)}</{tag}>"


def _item(lines: Sequence[str], address: Address) -> str:
    end = next((number for number, line in enumerate(lines) if number and _ITEM.fullmatch(line)), len(lines))
    text = _inline(" ".join(line.strip() for line in lines[:end]), address)
    return text + (_list(lines[end:], address) if end < len(lines) else "")


def _inline(text: str, address: Address) -> str:
    written, at = "", 0
    for found in _INLINE.finditer(text):
        written += escape(text[at : found.start()], quote=False) + _span(found, address)
        at = found.end()
    return written + escape(text[at:], quote=False)


def _span(found: re.Match[str], address: Address) -> str:
    if found["code"] is not None:
        return f"<code>{escape(found['code'].strip(), quote=False)}</code>"
    if found["strong"] is not None:
        return f"<strong>{_inline(found['strong'], address)}</strong>"
    if found["em"] is not None:
        return f"<em>{_inline(found['em'], address)}</em>"
    if found["plain"] is not None:
        return f'<a href="{escape(found["plain"])}" rel="noreferrer">{escape(found["plain"])}</a>'
    inner, place = _inline(found["text"], address), address(found["target"])
    return inner if place is None else f'<a href="{escape(place)}">{inner}</a>'


def _id(text: str) -> str:
    """Give the id that links to a heading use, as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).lower()
    return _NOT_IN_IDS.sub("", plain).strip().replace(" ", "-")
