# SPDX-License-Identifier: Apache-2.0
"""How the servers of the storage get their ports, and what is said if one does not start."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from sandbox.storage.servers import Keys, Program, Server, StorageError, find_free_ports

# Where Linux's ports of connections begin, unless a machine sets it otherwise.
EPHEMERAL = 32_768


@pytest.mark.parametrize("twin", [0, 10_000])
def test_no_port_of_a_server_is_one_of_a_connection(twin: int) -> None:
    ports = [port for _ in range(50) for port in find_free_ports(5, twin)]
    assert max(ports) + twin < EPHEMERAL


def test_a_port_is_free_and_so_is_its_twin() -> None:
    ports = find_free_ports(5, 10_000)
    numbers = {*ports, *(port + 10_000 for port in ports)}
    assert len(numbers) == 10
    held = []
    try:
        for number in numbers:
            held.append(socket.socket())
            held[-1].bind(("127.0.0.1", number))
    finally:
        for each in held:
            each.close()


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    (port,) = find_free_ports(1)
    server = Server(f"http://127.0.0.1:{port}", Keys("key", "secret"))
    command = "echo the port is taken; echo; echo goroutine 1; seq 1000; exit 1"
    program = Program(["/bin/sh", "-c", command], {}, tmp_path, port)
    try:
        with pytest.raises(StorageError, match="the S3 server ended at once: the port is taken"):
            asyncio.run(server.run(program))
    finally:
        server.stop()
