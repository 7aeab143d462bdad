"""The modules of a page as one file, and its style sheets as one: joined when they are first asked for, with no step in between.

Only what the pages' modules use is understood: imports at the top of a module, and names that are exported where they are declared, or
in a list. Anything else is refused, and a test goes through all modules.
"""

import re
from collections.abc import Callable
from posixpath import dirname, join, normpath
from typing import Final

Read = Callable[[str], str]
"""Gives the text of a module or style sheet, by its address on the service."""

_SPACE: Final = re.compile(r"(?:\s+|//[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_IMPORT: Final = re.compile(r"""import\s+(?:(?P<what>[^"';]+?)\s+from\s+)?"(?P<place>[^"]+)";""")
_STAR: Final = re.compile(r"\*\s+as\s+(\w+)")
_NAMES: Final = re.compile(r"\{([^}]*)\}", re.DOTALL)
_DECLARED: Final = re.compile(r"^export (?=(?:(?:async )?function\*?|class|const) (\w+))", re.MULTILINE)
_LISTED: Final = re.compile(r"^export \{([^}]*)\};$", re.MULTILINE)
_LEFT: Final = re.compile(r"""^(?:export .*|import (?:\{.*|(?:.* from )?".*))$""", re.MULTILINE)
_COMMENT: Final = re.compile(r"^[ \t]*/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*\n", re.MULTILINE)
_TYPE: Final = re.compile(r"/\*\* @type \{[^*\n]*\} \*/ ?")


class JoiningError(ValueError):
    """A module that cannot be joined: it says something that is not understood here, or two modules need each other."""


def joined_modules(entry: str, read: Read) -> str:
    r"""Give one module that does what this one and all that it imports do: each is run once, before those that import it.

    Comments that describe are left out.

    >>> modules = {"/a.js": 'import { b as c } from "./lib/b.js";\nconsole.log(c);\n', "/lib/b.js": "export const b = 1;\n"}
    >>> print(joined_modules("/a.js", modules.__getitem__))
    const m0 = (() => { // /lib/b.js
    const b = 1;
    return { b };
    })();
    // /a.js
    const { b: c } = m0;
    console.log(c);
    <BLANKLINE>
    """
    written: list[str] = []
    names: dict[str, str] = {}
    under_way: list[str] = []

    def add(address: str) -> None:
        if address in under_way:
            raise JoiningError(f"{' → '.join([*under_way, address])}: modules that need each other cannot be joined")
        under_way.append(address)
        places, head, body = _parted(address, read(address))
        for place in places:
            if place not in names:
                add(place)
        under_way.pop()
        bound = "".join(line for what, place in head for line in _bound(address, what, names[place]))
        text, exported = _exported(address, body)
        if address == entry:
            written.append(f"// {address}\n{bound}{text}")
            return
        names[address] = f"m{len(names)}"
        written.append(f"const {names[address]} = (() => {{ // {address}\n{bound}{text}return {{ {', '.join(exported)} }};\n}})();\n")

    add(entry)
    return "".join(written)


def joined_styles(addresses: tuple[str, ...], read: Read) -> str:
    """Give style sheets one after another."""
    return "\n".join(read(address) for address in addresses)


def _parted(address: str, text: str) -> tuple[list[str], list[tuple[str, str]], str]:
    """Give what a module imports, as what from where, and what follows."""
    head: list[tuple[str, str]] = []
    end = _after_space(text, 0)
    while found := _IMPORT.match(text, end):
        head.append((found["what"] or "", normpath(join(dirname(address), found["place"]))))
        end = _after_space(text, found.end())
    return [place for _, place in head], head, text[end:]


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _bound(address: str, what: str, module: str) -> list[str]:
    """Give the lines that bind what is imported."""
    if not what:
        return []
    if star := _STAR.fullmatch(what):
        return [f"const {star[1]} = {module};\n"]
    if names := _NAMES.fullmatch(what):
        return [f"const {{ {', '.join(_pairs(names[1], ': '))} }} = {module};\n"]
    raise JoiningError(f"{address}: “import {what}” cannot be joined")


def _exported(address: str, body: str) -> tuple[str, list[str]]:
    """Give a module's text without the word, and the names that it exports."""
    names = _DECLARED.findall(body)
    for found in _LISTED.findall(body):
        names += [": ".join(reversed(each.split(": "))) for each in _pairs(found, ": ")]
    text = _LISTED.sub("", _DECLARED.sub("", body))
    if left := _LEFT.search(text):
        raise JoiningError(f"{address}: “{left[0][:100]}” cannot be joined")
    return _TYPE.sub("", _COMMENT.sub("", text)), names


def _pairs(listed: str, between: str) -> list[str]:
    return [between.join(each.split(" as ")) for each in (" ".join(part.split()) for part in listed.split(",")) if each]
