"""The app in this process: its functions called as a host would call them, with a clock that is set."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.functions as func

import rank_function
import reward_function
from evaluation_function.operations import OPERATIONS as EVALUATING
from evaluation_function.workers import worker_blueprint
from manage_function import manage_blueprints
from manage_function.operations import OPERATIONS as MANAGING
from manage_function.operations import with_description
from shared.runtime.wiring import Deployment
from shared.storage import names
from tests.running import Answer
from tests.stores import received
from trainer_function import trainer_blueprint

_OPERATIONS = with_description((*rank_function.OPERATIONS, *reward_function.OPERATIONS, *MANAGING, *EVALUATING))
_HOST = "http://personalizer"
_VERSION = "2022-09-01-preview"
_ANY_PATH = "unmatched"
"""The function that takes every path."""


def under(loop: str, path: str) -> str:
    """Give the path of an operation of a loop."""
    return path if loop == "default" else f"loops/{loop}/{path}"


def place(loop: str, rest: str, *, version: str = _VERSION) -> str:
    """Give the path of an operation that the contract has, in this version of it."""
    if version != _VERSION:
        return under(loop, f"personalizer/{version}/{rest}")
    return under(loop, f"personalizer/{rest}{'&' if '?' in rest else '?'}api-version={version}")


class App:
    """All functions of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._host_storage = deployment.host_storage
        app = func.FunctionApp()
        for blueprint in (
            trainer_blueprint(lambda: deployment, schedule="0 * * * * *"),
            worker_blueprint(lambda: deployment),
            *manage_blueprints(lambda: _OPERATIONS, lambda: deployment),
        ):
            app.register_functions(blueprint)
        self._functions = {each.get_function_name(): each.get_user_function() for each in app.get_functions()}

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str,
        media_type: str = "application/json",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Send a request; what is not bytes goes as JSON."""
        parts = urlsplit(f"/{path}")
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = func.HttpRequest(
            method=method,
            url=f"{_HOST}/{path}",
            headers={"Ocp-Apim-Subscription-Key": key, "Content-Type": media_type, **headers},
            params=dict(parse_qsl(parts.query)),
            route_params={"path": unquote(parts.path).strip("/")},
            body=sent,
        )
        answer = await self._functions[_ANY_PATH](request)
        return Answer(answer.status_code, dict(answer.headers), answer.get_body())

    async def timer(self, name: str) -> None:
        """Have a timer come by, and what the trainer's asks of others be done."""
        await self._functions[name](None)
        while name == "train" and (message := await received(self._host_storage, queue=names.TRAINING)) is not None:
            await self._functions["train_queued"](func.QueueMessage(body=message))

    async def analyse(self, message: bytes) -> None:
        """Give a message of the queue to the function that it triggers."""
        await self._functions["analyse"](func.QueueMessage(body=message))


def said(answer: Answer) -> Any:
    """Give what was answered to a call that was not refused."""
    if answer.status >= 300:
        raise AssertionError(f"refused: {answer.status} {answer.body[:500]!r}")
    return answer.json if answer.body else None
