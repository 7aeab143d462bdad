"""What an answer to Rank says beside the contract's body."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

LEFT_OUT = "x-personalizer-left-out"
_LONGEST_PLACE = 200
_AS_THEY_ARE = "[].: "


def of_left_out(places: Sequence[str]) -> Mapping[str, str]:
    """Tell where features without a name were left out; what a header cannot hold is percent-encoded.

    >>> of_left_out(["contextFeatures[0].größe"])
    {'x-personalizer-left-out': 'contextFeatures[0].gr%C3%B6%C3%9Fe'}
    """
    return {LEFT_OUT: ", ".join(quote(place[:_LONGEST_PLACE], safe=_AS_THEY_ARE) for place in places)} if places else {}
