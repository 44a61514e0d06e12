"""The process: one uvicorn, on loopback or in a pod, that stops within three seconds, open streams or not."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from jupyterhub_aiinfn.api.base import ErrorBody, ErrorDetail
from jupyterhub_aiinfn.errors import StateError

from .context import Context

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # in a pod: the cluster's network policies say who comes


class Server(uvicorn.Server):
    """Ends the streams as soon as it is told to stop, so that nothing has to be cut off."""

    context: Context
    loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop: signals come outside it."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.context.watch.close)
        super().handle_exit(sig, frame)


class Protocol(H11Protocol):
    """HTTP whose broken requests get our shape of errors too."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request, and close the connection."""
        error = ErrorDetail(reason="bad-request", message="this is not a request of HTTP/1.1")
        body = ErrorBody(error=error).model_dump_json().encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n" + body)
        self.transport.close()


def serve(app: FastAPI, port: int) -> None:
    """Serve on loopback until a signal; :class:`StateError` when the port is taken."""
    with listening_socket(port) as listener:
        try:
            make_server(app).run(sockets=[listener])
        except KeyboardInterrupt:
            logging.getLogger("aiinfn.service").info("stopped")


async def serve_in_pod(app: FastAPI, port: int) -> None:
    """The same on all addresses and within a loop that runs."""
    with listening_socket(port, EVERYWHERE) as listener:
        await make_server(app).serve(sockets=[listener])


def make_server(app: FastAPI) -> Server:
    """The server of an app."""
    os.umask(0o077)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        http=Protocol,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=15,
        ws="none",
    )
    server = Server(config)
    server.context = app.state.context
    return server


def listening_socket(port: int, address: str = LOOPBACK) -> socket.socket:
    """Our port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise StateError(
            f"the platform service cannot listen on {address}:{port}: {error.strerror}; stop what uses that port"
        ) from error
    return listener
