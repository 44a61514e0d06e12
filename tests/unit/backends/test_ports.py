"""Ports that are given out seconds before somebody listens on them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.ports import FEWEST, HIGHEST, LOWEST, Ports, ports_of_our_own
from jupyterhub_aiinfn.errors import BackendError


def test_many_that_start_together_get_different_ports_and_none_of_the_kernels() -> None:
    ports = Ports()
    taken = [ports.take() for _ in range(500)]
    assert len(set(taken)) == 500
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if last - first < HIGHEST - LOWEST - FEWEST:
        assert all(not first <= port <= last for port in taken)


def test_what_somebody_listens_on_is_not_given_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BackendError, match="no port of this machine is free for a session; try again"):
            Ports([port]).take()
    ports = Ports([port])
    assert ports.take() == port
    with pytest.raises(BackendError):
        ports.take()


@pytest.mark.parametrize("text", ["", "x y", "1 2 3", f"{LOWEST} {HIGHEST}"])
def test_a_range_that_leaves_too_few_or_cannot_be_read_is_not_heeded(tmp_path: Path, text: str) -> None:
    file = tmp_path / "range"
    file.write_text(text)
    assert ports_of_our_own(file) == list(range(LOWEST, HIGHEST + 1))
    assert ports_of_our_own(tmp_path / "absent") == list(range(LOWEST, HIGHEST + 1))
