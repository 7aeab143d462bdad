"""Flags in a query or a header."""

from shared.domain.errors import InvalidRequestError


def read_flag(name: str, text: str | None) -> bool:
    """Read a flag, false if it is left out; raises `InvalidRequestError`.

    >>> read_flag("signed", None), read_flag("signed", "True")
    (False, True)
    """
    if not text or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise InvalidRequestError(f"{name}: has to be true or false, not {text[:40]!r}", target=name)
