"""What calls of this package raise, beside `TypeError` for arguments of a wrong kind."""

from shared.domain.errors import PersonalizerError, RequestError

__all__ = ["ClosedError", "InvalidRequestError", "NotStoredError", "PersonalizerError", "QueueFullError", "RefusedError", "SpoolError"]

InvalidRequestError = RequestError
"""The request breaks a rule of the service; nothing was stored. ``target`` names the place, for example ``actions[3].id``."""


class NotStoredError(PersonalizerError):
    """The service has not confirmed in time that it stored what it was told. It may store it all the same."""


class RefusedError(NotStoredError):
    """The service refuses to store this: ``code`` says why, as docs/internals/the-wire.md lists it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class QueueFullError(PersonalizerError):
    """There is no room for more that waits to be sent, and none became free in time; nothing was queued."""


class ClosedError(PersonalizerError):
    """The client is closed."""


class SpoolError(PersonalizerError):
    """The folder on disk cannot be used."""
