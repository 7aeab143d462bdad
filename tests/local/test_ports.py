"""Ports that are looked for."""

import socket

from local.processes import PORTS_OF_SERVERS, free_port, port_is_free


def test_a_free_port_is_none_that_an_outgoing_connection_may_get():
    for _ in range(50):
        port = free_port()
        assert PORTS_OF_SERVERS[0] <= port < PORTS_OF_SERVERS[1]


def test_a_port_that_is_listened_on_is_not_free():
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
        server.listen()
        assert not port_is_free(server.getsockname()[1])
