"""How many resources the templates make for some parameters, counted without the compiler: conditions and loops are read, and no more.

What only a deployment knows, such as the address of an account, is some text that is not empty.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"(?P<gap>(?:\s|//[^\n]*|#[^\n]*)*+)(?P<text>'|\d+|[A-Za-z_]\w*|&&|\|\||==|!=|>=|<=|\?\?|[-!?:.,<>(){}\[\]=+*/%])"
)
_STATEMENT: Final = re.compile(r"^(?:(var) (\w+) = |(param) (\w+) \w+ = |(resource|module) (\w+) '([^']+)' (existing )?= )", re.MULTILINE)
_COMPARING: Final = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b, "<": lambda a, b: a < b}
_UNKNOWN: Final = "known to a deployment"
_COMPUTING: Final = frozenset("+-*/%")

Values = Mapping[str, Any]


class UncountableError(ValueError):
    """What stands in a template is not read here, or is known to a deployment alone."""


def count(template: Path, given: Values) -> int:
    """Count the resources of a template with these parameters, and those of its modules; raises `UncountableError` and `OSError`."""
    text = template.read_text("utf-8")
    names = dict(given)
    found = 0
    for statement in _STATEMENT.finditer(text):
        reader = _Reader(text, statement.end(), names)
        if name := statement[2] or statement[4]:
            names.setdefault(name, reader.value())
            continue
        times, body = reader.declaration()
        if statement[8] or not times:
            continue
        found += times * (1 if statement[5] == "resource" else count(template.parent / statement[7], body["params"]))
    return found


def parameters(file: Path) -> Values:
    """Read a file of parameters (``.bicepparam``)."""
    text = file.read_text("utf-8")
    return {each[1]: _Reader(text, each.end(), {}).value() for each in re.finditer(r"^param (\w+) = ", text, re.MULTILINE)}


class _Reader:
    """Reads expressions, and says at once what they are worth where ``names`` are worth what they are."""

    def __init__(self, text: str, place: int, names: Values) -> None:
        self._text, self._place, self._names = text, place, names

    def declaration(self) -> tuple[int, Any]:
        """Read what follows the ``=`` of a resource: how often it is there, and its body."""
        times = 1
        if self._takes("["):
            self._must("for")
            self._skip_items()
            items = self.value()
            if not isinstance(items, list):
                raise UncountableError(f"a loop is over {items!r}")
            times = len(items)
            self._must(":")
        if self._takes("if"):
            condition = self._operand()
            if not isinstance(condition, bool):
                raise UncountableError(f"a condition is {condition!r}")
            times *= condition
        return times, self.value()

    def value(self) -> Any:
        """Read an expression."""
        found = self._any_of()
        if self._takes("?"):
            first = self.value()
            self._must(":")
            second = self.value()
            return first if found else second
        return found

    def _any_of(self) -> Any:
        found = self._all_of()
        while self._takes("||"):
            second = self._all_of()
            found = found or second
        return found

    def _all_of(self) -> Any:
        found = self._compared()
        while self._takes("&&"):
            second = self._compared()
            found = found and second
        return found

    def _compared(self) -> Any:
        found = self._computed()
        for sign, holds in _COMPARING.items():
            if self._takes(sign):
                second = self._computed()
                if _UNKNOWN in (found, second):
                    raise UncountableError(f"{found!r} is compared with {second!r}")
                return holds(found, second)
        return found

    def _computed(self) -> Any:
        found = self._operand()
        while self._peek()[1] in _COMPUTING:
            self._next()
            self._operand()
            found = _UNKNOWN
        return found

    def _operand(self) -> Any:
        if self._takes("!"):
            return not self._operand()
        _, token = self._next()
        found = self._begun(token)
        while (follows := self._peek()) in (("", "."), ("", "["), ("", "!")):
            self._next()
            if follows[1] == "[":
                self.value()
                self._must("]")
                found = _UNKNOWN
            elif follows[1] == ".":
                name = self._next()[1]
                found = found.get(name, _UNKNOWN) if isinstance(found, Mapping) else _UNKNOWN
        return found

    def _begun(self, token: str) -> Any:
        if token == "(":
            found = self.value()
            self._must(")")
            return found
        if token == "'":
            return self._string()
        if token == "[":
            return [value for _, value in self._items("]", named=False)]
        if token == "{":
            return dict(self._items("}", named=True))
        if token.isdigit():
            return int(token)
        if self._peek() == ("", "("):
            self._next()
            return self._called(token, [value for _, value in self._items(")", named=False)])
        constants = {"true": True, "false": False, "null": None}
        return constants[token] if token in constants else self._names.get(token, _UNKNOWN)

    def _called(self, name: str, arguments: list[Any]) -> Any:
        if name == "empty":
            return not arguments[0]
        if name == "length":
            return len(arguments[0])
        if name == "concat":
            return [each for one in arguments for each in one]
        return _UNKNOWN

    def _items(self, end: str, *, named: bool) -> Iterator[tuple[str, Any]]:
        while not self._takes(end):
            name = ""
            if named:
                name = self._string() if self._takes("'") else self._next()[1]
                self._must(":")
            yield name, (self._loop() if self._peek()[1] == "[" and named else self.value())
            self._takes(",")

    def _loop(self) -> Any:
        """Read an array that may be a loop of its own, whose items nothing depends on."""
        before = self._place
        self._must("[")
        if not self._takes("for"):
            self._place = before
            return self.value()
        self._skip_items()
        self.value()
        self._must(":")
        self.value()
        self._must("]")
        return _UNKNOWN

    def _skip_items(self) -> None:
        while self._next()[1] != "in":
            continue

    def _string(self) -> str:
        """Read on after the first quote; what is put in is not looked at."""
        begin, depth = self._place, 0
        while True:
            here = self._text[self._place]
            if here == "\\":
                self._place += 1
            elif self._text.startswith("${", self._place):
                depth += 1
            elif here == "}" and depth:
                depth -= 1
            elif here == "'":
                self._place += 1
                if not depth:
                    return self._text[begin : self._place - 1]
                self._string()
                continue
            self._place += 1

    def _peek(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._place)
        return ("\n", "") if found is None else (found["gap"], found["text"])

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._place)
        if found is None:
            raise UncountableError(self._text[self._place : self._place + 60])
        self._place = found.end()
        return found["gap"], found["text"]

    def _takes(self, token: str) -> bool:
        is_there = self._peek()[1] == token
        if is_there:
            self._next()
        return is_there

    def _must(self, token: str) -> None:
        if not self._takes(token):
            raise UncountableError(f"{token} is expected before {self._text[self._place : self._place + 60]}")
