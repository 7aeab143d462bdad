"""Ports that are looked for."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.processes import PORTS_OF_SERVERS, free_port, port_is_free


def test_a_free_port_is_none_that_an_outgoing_connection_may_get():
    for _ in range(50):
        port = free_port()
        assert PORTS_OF_SERVERS[0] <= port < PORTS_OF_SERVERS[1]


def listening(port: int) -> socket.socket:
    """Listen as servers do."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_port_that_is_listened_on_is_not_free():
    with listening(free_port()) as server:
        assert not port_is_free(server.getsockname()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no two sockets have one port")
def test_a_port_that_was_given_is_given_to_nobody_else_before_and_after_it_is_listened_on():
    port = free_port()
    for _ in range(2):
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
        listening(port).close()


def test_of_many_that_are_given_at_once_no_two_are_the_same():
    with ThreadPoolExecutor(8) as pool:
        ports = list(pool.map(lambda _: free_port(), range(200)))
    assert len(set(ports)) == 200
