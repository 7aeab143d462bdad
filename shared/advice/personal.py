"""Values that look like a person's: recognised by their form and by the name of their feature.

A guess, made to warn: it misses what looks like nothing in particular, and may take a version number for an address.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

LONGEST: Final = 256
"""Characters of a text that are looked at."""

_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_PHONE = re.compile(r"(?:\+|00)\d[\d ()./-]{5,20}\d")
_CARD = re.compile(r"\d(?:[ -]?\d){13,18}")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{3,45}")
_OPAQUE = re.compile(r"(?=.*\d)[\w.:=|{}-]{8,}|\d{5,}")

_WHO: Final = "user|customer|visitor|client|member|person|account|subscriber|patient|employee|student|guest|player|session|cookie|device"
_ID = re.compile(rf"(?:{_WHO})s?(?:id|uid|guid|uuid|key|no|number|hash|token)$|^uid$")
_NAME = re.compile(r"(?:first|last|full|family|given|middle|maiden|user|nick|sur)name$|^login$")
_BIRTH = re.compile(r"(?:birthday|birthdate|dateofbirth|dob)$")
_OFFICIAL = re.compile(r"(?:ssn|socialsecuritynumber|passportnumber|passport|taxid|nationalid|iban)$")
_PHONE_NAME = re.compile(r"(?:phone|mobile|telephone)(?:number|no)?$")
_EMAIL_NAME = re.compile(r"mail(?:address)?(?:hash|md5|sha1|sha256)?$")
_COORDINATE = re.compile(r"(?:lat|latitude|lon|lng|long|longitude)$")
_PLACE = re.compile(r"(?:location|position|coordinates|coords|geo|latlon|latlng)$")
_SEPARATORS = re.compile(r"[\W_]+")

_FEW_DIGITS: Final = 7
"""Of the shortest phone numbers."""
_LARGE: Final = 10_000
"""A smaller number is as likely a segment as somebody's id."""


def personal_kind(name: str, value: object) -> str | None:
    """Say what of a person's a feature of this name and value looks like; None if nothing.

    ``name`` is the dotted path; ``value`` is a string, a number or a list of numbers, anything else looks like nothing.

    >>> personal_kind("user.contact", "anna@example.org"), personal_kind("visitorId", "8f14e45fceea167a"), personal_kind("user.age", 34)
    ('an e-mail address', "a person's id", None)
    """
    plain = _SEPARATORS.sub("", name).lower()
    if isinstance(value, str):
        return next(_of_text(plain, value[:LONGEST].strip()), None)
    if isinstance(value, list):
        is_place = _PLACE.search(plain) and len(value) == 2 and all(map(_is_precise, value))  # latitude and longitude
        return "precise coordinates" if is_place else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return next(_of_number(plain, value), None)


def is_opaque(text: str) -> bool:
    """Whether a text looks as if it was made to tell one from all others.

    >>> is_opaque("3f2504e0-4f89-11d3-9a0c-0305e82c3301"), is_opaque("u-2938471"), is_opaque("premium")
    (True, True, False)
    """
    return _OPAQUE.fullmatch(text) is not None


def _of_text(name: str, text: str) -> Iterator[str]:
    digits = sum(character.isdigit() for character in text)
    if _EMAIL.search(text):
        yield "an e-mail address"
    if _PHONE.fullmatch(text) or (_PHONE_NAME.search(name) and digits >= _FEW_DIGITS):
        yield "a phone number"
    if _ADDRESS.fullmatch(text) and _is_ip(text):
        yield "an IP address"
    if _CARD.fullmatch(text) and _adds_up(text):
        yield "a card number"
    if _ID.search(name) and is_opaque(text):
        yield "a person's id"
    if _EMAIL_NAME.search(name) and is_opaque(text):
        yield "a hashed e-mail address, which is a person's all the same"
    if text and _NAME.search(name):
        yield "a person's name"
    if digits:
        yield from _of_few(name)


def _of_number(name: str, number: float) -> Iterator[str]:
    if _COORDINATE.search(name) and _is_precise(number):
        yield "precise coordinates"
    if _ID.search(name) and number >= _LARGE:
        yield "a person's id"
    if _PHONE_NAME.search(name) and number >= 10 ** (_FEW_DIGITS - 1):
        yield "a phone number"
    yield from _of_few(name)


def _of_few(name: str) -> Iterator[str]:
    if _BIRTH.search(name):
        yield "a date of birth"
    if _OFFICIAL.search(name):
        yield "an official number of a person"


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_precise(number: object) -> bool:
    """Whether a coordinate is finer than a thousandth of a degree, some 100 metres."""
    return isinstance(number, float) and abs(number) <= 180.0 and round(number, 3) != number


def _adds_up(text: str) -> bool:
    """Whether the digits pass Luhn's check, which all cards' do."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = [2 * digit if 2 * digit < 10 else 2 * digit - 9 for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
