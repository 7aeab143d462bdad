"""Plain words: phrases that readers stumbled over do not come back, in pages or in messages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.snippets import pages
from tests.running import REPOSITORY

PLAIN = {
    r"\b(be|beg)[aiu]ns? anew\b": "retrain, or start again",
    r"\b(learn|made|make|makes|written|write|built|joined|train|tried)(ed|s)? anew\b": "again",
    r"\bdeal(t|s)? with\b": "process",
    r"(?<!there )\b(is|are) none\b": "is not one of, or: is not valid",
    r"\bwhoever\b": "everybody who",
    r"\bwhat came of\b": "the result of",
    r"\bturn(s|ed)? up\b": "arrive",
    r"\bgo(es|ne)? on with\b": "continue with",
    r"\bgone back to\b": "restored",
    r"\bto be had\b": "available",
    r"\btold apart\b": "distinguished",
    r"\bcannot be followed\b": "is not supported",
    r"\bnothing (says|tells)\b": "is not known",
    r"\bso it is anyway\b": "works in this way already",
    r"\blooked after\b": "maintain",
    r"\bno matter\b": "makes no difference",
    r"\bwhat is (told|asked|new|served|stored|imported|learned|shown)\b": "name the thing",
    r"\bwhat was (served|imported|copied|backed up|chosen|asked|logged)\b": "name the thing",
    r"(?:^|[.;:] )W(?:hat|ho) (?![^.?]*\?)": "begin the sentence with the thing or the person",
}
"""Each phrase with what to write instead."""

FOLDERS = ("shared", "cli", "local", "examples", *(path.name for path in REPOSITORY.glob("*_function")))
OWN_NAMES = {"what was shown"}
"""Names of policies in evaluations."""


def prose(page: Path) -> Iterator[str]:
    """Give a page's paragraphs, without code and headings: a heading may be half a question."""
    text = re.sub(r"^```.*?^```|^#.*?$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n(?=[|*-])|(?<=[^|])\|", re.sub(r"`[^`]*`", "`", text)):
        yield re.sub(r"\s+", " ", paragraph).strip(" #*|-")


def literals(module: Path) -> Iterator[str]:
    """Give the texts of a module that are no docstrings and have several words."""
    tree = ast.parse(module.read_text("utf-8"))
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained and " " in node.value.strip():
            yield node.value


def riddles(text: str) -> list[str]:
    for name in OWN_NAMES:
        text = text.replace(name, "")
    return [f"{text[:120]!r}: rather {plain}" for phrase, plain in PLAIN.items() if re.search(phrase, text)]


def place(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", pages(), ids=place)
def test_a_page_has_plain_words(page):
    assert not [riddle for text in prose(page) for riddle in riddles(text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_messages_have_plain_words(folder):
    modules = [path for path in (REPOSITORY / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert not [f"{place(path)}: {riddle}" for path in modules for text in literals(path) for riddle in riddles(text)]


@pytest.mark.parametrize(
    "text",
    [
        "A model is begun anew.",
        "Rewards are dealt with later.",
        "What is learned stays.",
        "It ends. Who dies loses it.",
        "an answer that is none",
    ],
)
def test_a_riddle_is_found(text):
    assert riddles(text)


@pytest.mark.parametrize("text", ["What does it cost?", "Nobody knows what it costs.", "None of them is left.", "null if there are none"])
def test_a_plain_sentence_is_left_alone(text):
    assert not riddles(text)
