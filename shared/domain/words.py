"""Numbers in sentences: the same everywhere."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Say how many of something there are.

    >>> counted(1, "event"), counted(12_000, "event"), counted(0, "reply", "replies")
    ('1 event', '12,000 events', '0 replies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def count_of(number: int, noun: str, verbs: tuple[str, str]) -> str:
    """Say the same with its verb, which comes in two forms.

    >>> count_of(1, "event", ("was", "were")), count_of(2, "event", ("waits", "wait"))
    ('1 event was', '2 events wait')
    """
    return f"{counted(number, noun)} {verbs[number != 1]}"
