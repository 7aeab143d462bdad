"""What names an analysis: the id in its path, and the name that a client gave its request."""

from shared.api.rules import MAX_EVENT_ID_LENGTH
from shared.domain.errors import RequestError
from shared.runtime.http import Call

_MAX_REQUEST_ID_LENGTH = 128


def job_id_of(call: Call, name: str, invalid: type[RequestError]) -> str:
    """Give the id that the path has under this name; raises ``invalid`` for what cannot be one."""
    job_id = call.params[name]
    if len(job_id) > MAX_EVENT_ID_LENGTH:
        raise invalid(f"{name}: at most {MAX_EVENT_ID_LENGTH} characters, not {len(job_id)}", target=name)
    if any("\ud800" <= character <= "\udfff" for character in job_id):
        raise invalid(f"{name}: is not valid UTF-8", target=name)
    return job_id


def request_id_of(call: Call) -> str:
    """Give the client's own name for its request, which a repetition of it has as well; "" if there is none that can be used."""
    name: str = call.request.headers.get("x-ms-client-request-id", "")
    return name if len(name) <= _MAX_REQUEST_ID_LENGTH and name.isascii() else ""
