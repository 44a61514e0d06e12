"""A stretch of network between the hub and the API server that can be cut, in both ways in which networks are cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cut:
    """Passes connections on to an address; :meth:`cut` ends them and takes no new ones, or holds all back."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.closed = False
        self._flows = threading.Event()
        self._flows.set()
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @contextmanager
    def cut(self, *, silent: bool) -> Iterator[None]:
        """Nothing passes. ``silent``: connections stay, and what was said arrives afterwards; else they are closed."""
        if silent:
            self._flows.clear()
        else:
            self.closed = True
            self._end_all()
        try:
            yield
        finally:
            self.closed = False
            self._flows.set()

    def close(self) -> None:
        """End it."""
        self.closed = True
        self._server.close()
        self._flows.set()
        self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            gone, self._open = self._open, []
        for one in gone:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.closed:
                return
            with socket.create_connection(self._target) as upstream:
                with self._lock:
                    self._open += [client, upstream]
                back = threading.Thread(target=self._copy, args=(upstream, client), daemon=True)
                back.start()
                self._copy(client, upstream)
                back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
