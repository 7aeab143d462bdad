"""What policies are called for people, wherever they are shown; in JSON they keep their names."""

import re
from typing import Final

from shared.domain.evaluation import PRESENT, PolicySource
from shared.learning.interactions import ID, UNNAMED
from shared.services.analysis.lane import Contender

_FIXED: Final = {
    PolicySource.ONLINE: "what was shown",
    PolicySource.BASELINE: "the baseline",
    PolicySource.RANDOM: "chance",
}

_EXPLORATIONS: Final = (
    (r"--squarecb(?:.*--gamma_scale (\S+))?", "SquareCB", "gamma scale {}"),
    (r"--softmax(?:.*--lambda (\S+))?", "softmax", "lambda {}"),
    (r"--bag (\S+)", "bagging", "{} models"),
    (r"--cover (\S+)", "cover", "{} models"),
    (r"--regcb", "RegCB", ""),
    (r"--epsilon (\S+)", "epsilon-greedy", "epsilon {}"),
)
"""By which options an exploration is known, the first that is there; the last tells what its number is."""


def title_of(contender: Contender) -> str:
    """Say what a policy is called.

    >>> found = PolicySource.OFFLINE_EXPERIMENTATION
    >>> title_of(Contender("Hyper1", found, "--cb_explore_adf --softmax --lambda 16 --epsilon 0.02"))
    'found: explores by softmax (lambda 16)'
    >>> title_of(Contender("Inter-len1", found, "--cb_explore_adf --ignore i"))
    'found: learns without action ids'
    >>> title_of(Contender("online", PolicySource.ONLINE)), title_of(Contender("mine", PolicySource.CUSTOM))
    ('what was shown', 'mine')
    """
    if contender.name == PRESENT:
        return "the present policy"
    if contender.source is not PolicySource.OFFLINE_EXPERIMENTATION:
        return _FIXED.get(contender.source, contender.name)
    is_exploration = contender.name.startswith("Hyper")
    return f"found: {_explores(contender.arguments) if is_exploration else _learns(contender.arguments)}"


def called(contender: Contender) -> str:
    """Name a policy in a sentence: what somebody has named stands in quotation marks.

    >>> called(Contender("mine", PolicySource.CUSTOM)), called(Contender("baseline1", PolicySource.BASELINE))
    ('“mine”', 'the baseline')
    """
    is_named = contender.source not in _FIXED and contender.name != PRESENT
    return f"“{title_of(contender)}”" if is_named else title_of(contender)


def _explores(arguments: str) -> str:
    for pattern, name, number_of in _EXPLORATIONS:
        match = re.search(pattern, arguments)
        if match:
            number = match[1] if match.lastindex else None
            return f"explores by {name} ({number_of.format(number)})" if number else f"explores by {name}"
    return "explores as this service does by itself"


def _learns(arguments: str) -> str:
    """Say which features it uses."""
    left_out = [f"without {_namespace(letter)}" for group in re.findall(r"--ignore (\S+)", arguments) for letter in group]
    crossed = [
        f"with no cross but that of {' and '.join(map(_namespace, each))}" for each in re.findall(r"--interactions (\S+)", arguments)
    ]
    return f"learns {', '.join([*left_out, *crossed]) or 'from all features and crosses'}"


def _namespace(letter: str) -> str:
    known = {ID: "action ids", UNNAMED: "features that are in no namespace"}
    return known.get(letter, f"namespaces that begin with {letter!r}")
