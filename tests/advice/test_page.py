"""The checklist's page and the checklist are the same."""

import re

from shared.advice.advice import Code
from tests.running import REPOSITORY

PAGE = (REPOSITORY / "docs" / "how-to" / "why-is-it-not-learning.md").read_text("utf-8")


def test_the_page_tells_of_every_code_in_the_order_of_the_advice():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == ["code", *Code]
