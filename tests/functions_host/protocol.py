"""The messages of the protocol between the Functions host and its workers, made of `FunctionRpc.proto` when this is imported."""

import os
from typing import Any, Final

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # read once, by the import: else each process that is started makes it write a line

import grpc

_made: tuple[Any, Any] = grpc.protos_and_services("tests/functions_host/FunctionRpc.proto")
messages, services = _made

ANY_SIZE: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
"""The host lets a message have two gigabytes; grpc's own limit are four megabytes."""


def data(**one: Any) -> Any:
    """Make a value of one kind, such as ``data(string="a text")``."""
    return messages.TypedData(**one)


def said(message: Any) -> tuple[str, Any]:
    """Give the kind of a message, as ``rpc_log``, and its content."""
    kind = message.WhichOneof("content") or ""
    return kind, getattr(message, kind, None)
