"""What an answer to Rank says beside what the contract names."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from shared.api.flags import read_flag
from shared.runtime.http import Call

SCORES = "scores"
SCORES_HEADER = "x-personalizer-scores"
LEFT_OUT = "x-personalizer-left-out"
_LONGEST_PLACE = 200
_AS_THEY_ARE = "[].: "


def wants_scores(call: Call) -> bool:
    """Whether the caller asks for the expected reward of each action, in the query or by a header; raises `InvalidRequestError`."""
    return read_flag(SCORES, call.query.get(SCORES)) or read_flag(SCORES_HEADER, call.request.headers.get(SCORES_HEADER))


def of_left_out(places: Sequence[str]) -> Mapping[str, str]:
    """Tell where features without a name were left out; what a header cannot hold is percent-encoded.

    >>> of_left_out(["contextFeatures[0].größe"])
    {'x-personalizer-left-out': 'contextFeatures[0].gr%C3%B6%C3%9Fe'}
    """
    return {LEFT_OUT: ", ".join(quote(place[:_LONGEST_PLACE], safe=_AS_THEY_ARE) for place in places)} if places else {}
