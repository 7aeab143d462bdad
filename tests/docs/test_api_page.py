"""docs/api.md is what the description of the API gives."""

from shared.api.openapi.catalogue import TAGS
from shared.runtime.failures import STATUS
from tests.docs.api_page import PAGE, written
from tests.http.described import said


def test_the_page_is_as_it_is_made():
    assert PAGE.read_text("utf-8") == written(), "write it anew: make docs"


def test_it_has_every_path_tag_and_code():
    page = written()
    assert not [each for each in said() if f"`{each.method} {each.path}" not in page]
    assert not [tag for tag in TAGS if f"\n## {tag}\n" not in page]
    assert not [code for status, code in STATUS.values() if f"| {status} | `{code}` |" not in page]
