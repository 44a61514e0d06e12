"""A home that fills up while people work: what cannot be saved is said in words, and JupyterLab is told."""

from __future__ import annotations

import asyncio
import errno
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_events import EventLogger
from tornado import web

from jupyterhub_aiinfn.model.rescue import HomeProbe, rescue_reason

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

SCHEMA = Path(__file__).parents[1] / "events" / "home.yaml"
SCHEMA_ID = "urn:jupyterhub-aiinfn:home"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
STATUS = 507
"""Insufficient Storage."""
VERBS = ("save", "new", "new_untitled", "copy", "create_checkpoint")
"""What Jupyter's contents manager writes with."""


def say_what_cannot_be_saved(server_app: ServerApp, problem: Callable[[], str]) -> None:
    """From now on a failure for want of room is a sentence and an event, not a number.

    ``problem`` tries the home: the database of signatures only says "locked" or "I/O error" when it is full.
    """
    events = server_app.event_logger
    assert events is not None, "extensions are loaded after it is made"
    events.register_event_schema(SCHEMA)
    manager = server_app.contents_manager
    for name in VERBS:
        if callable(usual := getattr(manager, name, None)):
            setattr(manager, name, in_words(usual, events, problem))


def in_words(usual: Callable[..., Any], events: EventLogger, problem: Callable[[], str]) -> Callable[..., Any]:
    """The same function, whose failures for want of room are sentences."""

    @functools.wraps(usual)
    async def write(*arguments: Any, **named: Any) -> Any:
        try:
            found = usual(*arguments, **named)
            return await found if hasattr(found, "__await__") else found
        except Exception as error:
            sentence = "" if is_said(error) else reason_of(error) or await asyncio.to_thread(problem)
            if not sentence:
                raise
            events.emit(schema_id=SCHEMA_ID, data={"event": "full", "message": sentence})
            raise web.HTTPError(STATUS, f"nothing was saved: {sentence}") from error

    return write


def is_said(error: Exception) -> bool:
    """Whether the failure is a sentence of ours already, or what was asked for was wrong."""
    return isinstance(error, web.HTTPError) and (error.status_code < 500 or error.status_code == STATUS)


def reason_of(error: Exception) -> str:
    """The sentence of a failure that the system has named; empty for others."""
    number = no_room(error)
    return rescue_reason(HomeProbe(failed="write", error=number)) if number is not None else ""


def no_room(error: BaseException | None) -> int | None:
    """The system's number when a failure, or what caused it, is for want of room or of the right to write."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return error.errno
        error = error.__cause__ or error.__context__
    return None
