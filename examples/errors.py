"""What can end a demo early; each carries the sentence its reader needs."""


class DemoError(Exception):
    """Ends the demo with its own text and exit code 2."""


class DataError(DemoError):
    """A file of events that is missing or not in one of the two formats."""


class UnreachableError(DemoError):
    """Nothing answers at the endpoint, or it kept saying that it is too busy."""


class KeyRefusedError(DemoError):
    """The endpoint answers, but not to this key."""


class OthersDataError(DemoError):
    """The loop may hold events of real visitors."""


class RefusedError(DemoError):
    """The endpoint refused a request or gave an answer that makes no sense."""


class OwnAppError(DemoError):
    """The app that the demo started for itself did not come up, or stopped."""
