"""Plays events through the official SDK: Rank, look what the reader does, Reward."""

import threading
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import ClientException, ClientRequestError, HttpOperationError

from examples.errors import KeyRefusedError, RefusedError, UnreachableError
from examples.events import Event

ATTEMPTS = 8
LONGEST_PAUSE = 10.0
TIMEOUT_SECONDS = 20
WORTH_RETRYING = frozenset({408, 429, 500, 502, 503, 504})


def is_local(endpoint: str) -> bool:
    """Tell whether the endpoint is this machine, which no proxy can reach."""
    return urllib.parse.urlsplit(endpoint).hostname in {"127.0.0.1", "localhost", "::1"}


def connect(endpoint: str, key: str) -> Any:
    """Make a client that keeps its connection; the SDK's own default opens one a call."""
    client: Any = PersonalizerClient(endpoint.rstrip("/"), CognitiveServicesCredentials(key))  # type: ignore[no-untyped-call]  # published without types
    client.config.retry_policy.retries = 0  # retried here, where Retry-After is read and Ctrl-C is heard
    client.config.connection.timeout = TIMEOUT_SECONDS
    client.config.proxies.use_env_settings = not is_local(endpoint)
    client.__enter__()
    return client


class Player:
    """Plays events from any thread, one client a thread, with event ids made here so that a retry is the same event."""

    def __init__(self, endpoint: str, key: str, *, pause: Callable[[float], None] | None = None) -> None:
        self._endpoint = endpoint
        self._key = key
        self._stopped = threading.Event()
        self._pause = pause or self._wait
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self.retries = 0

    def play(self, event: Event) -> float:
        """Rank, reward, and give back the reward; a `DemoError` when the endpoint cannot go on."""
        event_id = str(uuid.uuid4())
        client = self._client()
        answer = self._patiently(lambda: client.rank(_to_request(event, event_id)))
        try:
            reward = event.reward_of(answer.reward_action_id)
        except KeyError:
            raise RefusedError(f"Rank chose {answer.reward_action_id!r}, which was not offered.") from None
        self._patiently(lambda: client.events.reward(event_id, reward))
        return reward

    def stop(self) -> None:
        """Let threads that wait for a retry give up at once."""
        self._stopped.set()

    def _client(self) -> Any:
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = connect(self._endpoint, self._key)  # its connection closes when the thread ends
        return self._of_thread.client

    def _patiently(self, call: Callable[[], Any]) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except HttpOperationError as error:
                reason: Exception = error
                wait = _pause_after(error, attempt)
            except ClientRequestError as error:
                reason = error
                wait = _backoff(attempt)
            except ClientException as error:
                raise RefusedError(f"The answer of {self._endpoint} is not Personalizer's: {error}") from error
            if attempt + 1 < ATTEMPTS:
                self._take_a_breath(wait, reason)
        raise UnreachableError(f"{self._endpoint} did not answer in {ATTEMPTS} attempts: {_in_words(reason)}") from reason

    def _take_a_breath(self, seconds: float, reason: Exception) -> None:
        with self._lock:
            self.retries += 1
        self._pause(seconds)
        if self._stopped.is_set():
            raise UnreachableError("Stopped while waiting to retry.") from reason

    def _wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)


def _to_request(event: Event, event_id: str) -> Any:
    return RankRequest(
        event_id=event_id,
        context_features=[{name: dict(features)} for name, features in event.context.items()],
        actions=[
            RankableAction(id=action.id, features=[{name: dict(features)} for name, features in action.features.items()])
            for action in event.actions
        ],
    )


def _pause_after(error: Any, attempt: int) -> float:
    status = error.response.status_code
    if status in {401, 403}:
        raise KeyRefusedError(f"The endpoint refused the key: {status} {error.message}") from error
    if status not in WORTH_RETRYING:
        raise RefusedError(f"The endpoint refused a request: {status} {error.message}") from error
    try:
        return min(max(float(error.response.headers["Retry-After"]), 0.0), LONGEST_PAUSE)
    except (KeyError, ValueError):  # absent, or given as a date
        return _backoff(attempt)


def _backoff(attempt: int) -> float:
    return float(min(0.25 * 2**attempt, 5.0))


def _in_words(error: BaseException) -> str:
    if isinstance(error, HttpOperationError):
        return f"{error.response.status_code} {error.response.reason}"
    while error.__context__ is not None:  # the connection's own error says more than its wrappers
        error = error.__context__
    return str(error)
