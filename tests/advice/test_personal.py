"""What looks like a person's, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.advice.personal import personal_kind


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("contact", "anna@example.org", "an e-mail address"),
        ("note", "write to anna.b+x@mail.example.co.uk soon", "an e-mail address"),
        ("user.emailHash", "8f14e45fceea167a5a36dedd4bea2543", "a hashed e-mail address, which is a person's all the same"),
        ("x", "+49 30 1234567", "a phone number"),
        ("x", "0044 20 7946 0958", "a phone number"),
        ("user.mobile", "030/1234567", "a phone number"),
        ("user.phoneNumber", 491701234567, "a phone number"),
        ("x", "192.168.2.7", "an IP address"),
        ("client.ip", "2001:db8::8a2e:370:7334", "an IP address"),
        ("x", "4111 1111 1111 1111", "a card number"),
        ("user.id", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "a person's id"),
        ("user_id", "u-2938471", "a person's id"),
        ("visitorId", 2938471, "a person's id"),
        ("customer.number", "00012345", "a person's id"),
        ("device.id", "A1B2C3D4", "a person's id"),
        ("user.firstName", "Anna", "a person's name"),
        ("surname", "Bauer", "a person's name"),
        ("user.birthDate", "1990-02-01", "a date of birth"),
        ("user.ssn", "078-05-1120", "an official number of a person"),
        ("user.place.lat", 52.516275, "precise coordinates"),
        ("longitude", -13.377704, "precise coordinates"),
        ("user.location", [52.516275, 13.377704], "precise coordinates"),
    ],
)
def test_what_is_a_persons_is_recognised(name, value, kind):
    assert personal_kind(name, value) == kind


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user.age", 34),
        ("user.segment", "premium"),
        ("user.id", "premium"),
        ("user.id", 3),
        ("userKind", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("article.id", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("article.name", "Anna"),
        ("device", "mobile"),
        ("device.mobile", True),
        ("mobile", "yes"),
        ("date", "2026-05-17"),
        ("time", "12:30:00"),
        ("at", "2026-05-17T12:00:00Z"),
        ("version", "3.11"),
        ("ratio", "16:9"),
        ("price", "1234567"),
        ("price", 12.3456),
        ("timestamp", 1779019200000),
        ("order", "1111 2222 3333 4445"),
        ("lat", 52.5),
        ("lat", 52),
        ("user.location", [0.25, 0.25, 0.5]),
        ("colour", [52.516275, 13.377704]),
        ("user.emailClient", "thunderbird-115"),
        ("user.login", ""),
        ("x", None),
        ("x", ""),
    ],
)
def test_what_is_nobodys_is_not(name, value):
    assert personal_kind(name, value) is None


@given(st.text(max_size=40), st.one_of(st.text(max_size=600), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.floats())))
def test_whatever_is_sent_can_be_looked_at(name, value):
    assert personal_kind(name, value) in {None, *KINDS}


KINDS = {
    "an e-mail address",
    "a hashed e-mail address, which is a person's all the same",
    "a phone number",
    "an IP address",
    "a card number",
    "a person's id",
    "a person's name",
    "a date of birth",
    "an official number of a person",
    "precise coordinates",
}
