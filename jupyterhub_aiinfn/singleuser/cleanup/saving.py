"""A home that fills up while people work: what cannot be saved is said in words, and JupyterLab is told."""

from __future__ import annotations

import asyncio
import errno
import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_events import EventLogger
from tornado import web

from jupyterhub_aiinfn.model.rescue import HomeProbe, rescue_reason
from jupyterhub_aiinfn.singleuser.beside_home import folder_beside, words_for

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
            beside = functools.partial(problem_beside, manager, usual)
            setattr(manager, name, in_words(usual, events, problem, beside))


def in_words(
    usual: Callable[..., Any], events: EventLogger, problem: Callable[[], str], beside: Callable[..., str]
) -> Callable[..., Any]:
    """The same function, whose failures for want of room are sentences.

    ``beside`` has the failure and the arguments, and a sentence when they lead to a folder beside the home: that is not
    the home's fault, and nobody need clean it up.
    """

    @functools.wraps(usual)
    async def write(*arguments: Any, **named: Any) -> Any:
        try:
            found = usual(*arguments, **named)
            return await found if hasattr(found, "__await__") else found
        except Exception as error:
            if is_said(error):
                raise
            if elsewhere := beside(error, arguments, named):
                raise web.HTTPError(STATUS, f"nothing was saved: {elsewhere}") from error
            sentence = reason_of(error) or await asyncio.to_thread(problem)
            if not sentence:
                raise
            events.emit(schema_id=SCHEMA_ID, data={"event": "full", "message": sentence})
            raise web.HTTPError(STATUS, f"nothing was saved: {sentence}") from error

    return write


def problem_beside(
    manager: Any, usual: Callable[..., Any], error: Exception, arguments: tuple[Any, ...], named: dict[str, Any]
) -> str:
    """What is wrong with the folder beside the home that is written; empty for the home, and for other failures."""
    number = no_room(error)
    given = inspect.signature(usual).bind_partial(*arguments, **named).arguments
    path = given.get("to_path") or given.get("path") or given.get("from_path") or ""
    folder = folder_beside(manager, str(path), Path.home(), inside=True) if number is not None else None
    if folder is None:
        return ""
    where = words_for(folder, os.environ)
    if number == errno.EROFS:
        return f"{where} can only be read; save it in your home"
    return f"{where} is full; ask its members to make room, or save it in your home"


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
