"""The event id of a path."""

from shared.api.rules import MAX_EVENT_ID_LENGTH
from shared.domain.errors import RequestError
from shared.runtime.http import Call


def event_id_of(call: Call, invalid: type[RequestError]) -> str:
    """Give the event id that the path names; raises ``invalid`` for what cannot be one."""
    event_id = call.params["eventId"]
    if not event_id:
        raise invalid("eventId: is missing between /events/ and what follows it in the path", target="eventId")
    if len(event_id) > MAX_EVENT_ID_LENGTH:
        raise invalid(f"eventId: at most {MAX_EVENT_ID_LENGTH} characters, not {len(event_id)}", target="eventId")
    if any("\ud800" <= character <= "\udfff" for character in event_id):
        raise invalid("eventId: is not valid UTF-8", target="eventId")
    return event_id
