"""What the kernels of this server say on their public channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jupyter_client.session import Session

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

Message = Callable[[str, str, str, dict[str, Any]], None]
"""Called with kernel, message that it answers, kind and content."""
OUTPUT_KINDS = frozenset(
    {"stream", "display_data", "execute_result", "error", "clear_output", "execute_input", "update_display_data"}
)


class Kernels:
    """One subscription for each kernel that a tab ever connected to."""

    def __init__(self, server_app: ServerApp, message: Message, ended: Callable[[str], None]) -> None:
        self._manager: Any = server_app.kernel_manager
        self._log = server_app.log
        self._message, self._ended = message, ended
        self._streams: dict[str, tuple[Any, tuple[int, ...]]] = {}
        self._runs: dict[str, str] = {}

    def listen(self, kernel: Any) -> None:
        """Subscribe, once for each set of ports."""
        name, ports = str(kernel.kernel_id), tuple(kernel.ports)
        found = self._streams.get(name)
        if found is not None and found[1] == ports and not found[0].closed():
            return
        self._close(name)
        stream = kernel.connect_iopub()
        session = Session(config=kernel.session.config, key=kernel.session.key)
        stream.on_recv(lambda parts: self._take(name, session, parts))
        self._streams[name] = (stream, ports)

    def drop_ended(self) -> None:
        """Notice kernels that are gone."""
        for name in [name for name in self._streams if name not in self._manager]:
            self._close(name)
            self._ended(name)

    def is_idle(self, kernel: str) -> bool:
        """Whether it says that it runs nothing.

        Jupyter Server takes the word of whatever the kernel did last: one that runs a cell, and meanwhile answers on
        its control channel how much memory it takes, would be idle.
        """
        if kernel not in self._manager or kernel in self._runs:
            return False
        return bool(self._manager.get_kernel(kernel).execution_state == "idle")

    def _close(self, name: str) -> None:
        stream, _ = self._streams.pop(name, (None, ()))
        self._runs.pop(name, None)
        if stream is not None and not stream.closed():
            stream.on_recv(None)
            stream.close()

    def _take(self, kernel: str, session: Session, parts: list[bytes]) -> None:
        try:
            _, rest = session.feed_identities(parts)
            message = session.deserialize(rest, content=False)
            kind = str(message["header"]["msg_type"])
            header = message["parent_header"] or {}
            parent = str(header.get("msg_id", ""))
            if kind == "status":
                content = session.unpack(message["content"])
                self._note_runs(kernel, header, content)
                self._take_status(kernel, parent, content)
            elif kind in OUTPUT_KINDS:
                self._message(kernel, parent, kind, session.unpack(message["content"]))
        except Exception:  # whatever a kernel sends: the next message may be fine
            self._log.debug("a message of kernel %s could not be read", kernel, exc_info=True)

    def _note_runs(self, kernel: str, header: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """A kernel runs one cell at a time: the one that it began last, until it says that this one has ended."""
        state = content.get("execution_state")
        run = str(header.get("msg_id", ""))
        if state == "starting" or (state == "idle" and self._runs.get(kernel) == run):
            self._runs.pop(kernel, None)
        elif state == "busy" and header.get("msg_type") == "execute_request":
            self._runs[kernel] = run

    def _take_status(self, kernel: str, parent: str, content: dict[str, Any]) -> None:
        # A kernel that starts anew has ended whatever ran before.
        if content.get("execution_state") == "starting":
            self._ended(kernel)
        else:
            self._message(kernel, parent, "status", content)
