"""Listings in pages, as 2022-09-01-preview has them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from shared.domain.errors import InvalidRequestError

DEFAULT_SIZE: Final = 100
LARGEST: Final = 2**31 - 1

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a listing is wanted: ``top`` of its items at most after the first ``skip``, ``size`` of them at a time."""

    top: int = LARGEST
    skip: int = 0
    size: int = DEFAULT_SIZE

    def cut(self, items: Sequence[Item]) -> Sequence[Item]:
        """Give this page's items.

        >>> Page(top=3, skip=1, size=2).cut("abcdef")
        'bc'
        """
        return items[self.skip : self.skip + min(self.top, self.size)]

    def after(self, count: int) -> "Page | None":
        """Give the next page of a listing of so many items, if there is one.

        >>> Page(top=3, skip=1, size=2).after(6)
        Page(top=1, skip=3, size=2)
        """
        taken = min(self.top, self.size, max(count - self.skip, 0))
        left = Page(self.top - taken, self.skip + taken, self.size)
        return left if left.top and left.skip < count else None

    def link(self, url: str, others: Mapping[str, str]) -> str:
        """Give the address of this page of the listing at ``url``; ``others`` are parameters that come before its own.

        >>> Page(top=5, skip=2, size=2).link("https://host/personalizer/evaluations?skip=0", {"api-version": "1"})
        'https://host/personalizer/evaluations?api-version=1&top=5&skip=2&maxpagesize=2'
        """
        query = {**others, "top": str(self.top), "skip": str(self.skip), "maxpagesize": str(self.size)}
        return f"{url.partition('?')[0]}?{urlencode(query, quote_via=quote)}"


def read_page(params: Mapping[str, str]) -> Page:
    """Read the query of a listing; raises `InvalidRequestError`, naming the parameter."""
    return Page(
        top=read_number(params, "top", LARGEST, lowest=0),
        skip=read_number(params, "skip", 0, lowest=0),
        size=read_number(params, "maxpagesize", DEFAULT_SIZE, lowest=1),
    )


def read_number(params: Mapping[str, str], name: str, default: int, *, lowest: int, largest: int = LARGEST) -> int:
    """Read a whole number of the query; raises `InvalidRequestError`."""
    text = params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not lowest <= int(text) <= largest:
        refuse(name, f"must be a whole number from {lowest} to {largest}")
    return int(text)


def refuse(name: str, what: str) -> NoReturn:
    """Refuse a parameter of the query."""
    raise InvalidRequestError(f"{name}: {what}", target=name)
