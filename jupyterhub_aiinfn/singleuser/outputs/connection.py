"""The connection between a tab and a kernel, where it is seen which cell runs: kernels do not know of cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from .runs import Request

if TYPE_CHECKING:
    from .keeper import Keeper

PROTOCOL = "v1.kernel.websocket.jupyter.org"


def recording(usual: type[ZMQChannelsWebsocketConnection], keeper: Keeper) -> type[ZMQChannelsWebsocketConnection]:
    """A class like the usual one that tells ``keeper`` who is connected and what is asked for."""

    class RecordingConnection(usual):  # type: ignore[misc, valid-type]
        """Tells the keeper; whatever goes wrong there, the connection works as usual."""

        async def prepare(self) -> None:
            await super().prepare()
            # Before the tab can ask for anything: a subscription takes a moment to be there.
            keeper.listen(self.kernel_manager)

        def connect(self) -> Any:
            keeper.connected(self, self.kernel_id, self.session.session)
            return super().connect()

        def disconnect(self) -> None:
            keeper.disconnected(self)
            super().disconnect()

        def handle_incoming_message(self, incoming_msg: Any) -> None:
            request = read_request(incoming_msg, self.subprotocol)
            if request is not None:
                keeper.requested(self.kernel_id, self.session.session, request)
            super().handle_incoming_message(incoming_msg)

    return RecordingConnection


def read_request(message: Any, subprotocol: str | None) -> Request | None:
    """The request of a tab to run a cell; None for everything else, nonsense included."""
    try:
        parts = _parts(message) if subprotocol == PROTOCOL else _legacy(message)
        return _request(*parts) if parts else None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _parts(message: bytes) -> tuple[Any, Any, Any] | None:
    """Header, metadata and content; only those of requests to execute are decoded."""
    channel, parts = deserialize_msg_from_ws_v1(message)
    if channel != "shell" or b"execute_request" not in parts[0]:
        return None
    return json.loads(parts[0]), json.loads(parts[2]), json.loads(parts[3])


def _legacy(message: bytes | str) -> tuple[Any, Any, Any] | None:
    found = deserialize_binary_message(message) if isinstance(message, bytes) else json.loads(message)
    return (found["header"], found["metadata"], found["content"]) if found.get("channel") == "shell" else None


def _request(header: Mapping[str, Any], metadata: Mapping[str, Any], content: Mapping[str, Any]) -> Request | None:
    cell, code, message = metadata.get("cellId"), content.get("code"), header["msg_id"]
    if header["msg_type"] != "execute_request" or not all(isinstance(part, str) for part in (cell, code, message)):
        return None
    return Request(message_id=str(message), cell_id=str(cell)[:256], source=str(code))
