"""A stretch of network between a browser and the platform that can be cut, as when a laptop sleeps."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

from tests.platform import RunningPlatform


class Relay:
    """Passes connections on; asleep, it takes none and passes nothing, and the platform sees the old ones break."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._awake = threading.Event()
        self._awake.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def sleep(self) -> None:
        """The laptop is closed: the platform loses it, and it does not know."""
        self._awake.clear()
        for _, upstream in self._pairs:
            with contextlib.suppress(OSError):
                upstream.shutdown(socket.SHUT_RDWR)

    def wake(self) -> None:
        """It is opened: what it took for connections is gone, new ones work."""
        pairs, self._pairs = self._pairs, []
        self._awake.set()
        for client, _ in pairs:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._server.close()
        self.wake()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._awake.wait()
            with socket.create_connection(self._target) as upstream:
                self._pairs.append((client, upstream))
                back = threading.Thread(target=self._copy, args=(upstream, client), daemon=True)
                back.start()
                self._copy(client, upstream)
                back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and self._awake.is_set():
                target.sendall(data)
        self._awake.wait()
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def behind_relay(platform: RunningPlatform) -> Iterator[tuple[Relay, RunningPlatform]]:
    """The same platform at the address of a relay."""
    relay = Relay(int(platform.url.rsplit(":", 1)[1]))
    try:
        yield relay, replace(platform, ready=platform.ready | {"url": f"http://127.0.0.1:{relay.port}"})
    finally:
        relay.close()
