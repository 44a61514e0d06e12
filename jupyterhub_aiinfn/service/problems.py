"""Every error becomes one JSON shape, or a page with the same sentence for a browser that asked for one."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from jupyterhub_aiinfn.api.base import ErrorBody, ErrorDetail
from jupyterhub_aiinfn.errors import AiinfnError, BackendError, Refusal, ServiceError, WorkloadNotFound

from .context import context_of
from .identity.gate import LoginNeeded
from .identity.routes import to_login
from .pages import page
from .settings import API, PREFIX

log = logging.getLogger("aiinfn.problems")
SENTENCES = {
    404: ("not-found", f"there is nothing at this address; the service's page is {PREFIX}/"),
    405: ("method-not-allowed", "this address does not take this method; see the OpenAPI document for those it takes"),
}
UNEXPECTED = ErrorDetail(
    reason="internal",
    message="something went wrong inside the platform service; try again, and tell the administrators if it stays",
)


def install(app: FastAPI) -> None:
    """Translate everything that handlers raise."""
    app.add_exception_handler(AiinfnError, on_error)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(LoginNeeded, on_login_needed)


async def on_error(request: Request, error: Exception) -> Response:
    """Our own errors: their sentence, their status."""
    status, detail = status_of(error), ErrorDetail(reason=reason_of(error), message=str(error))
    if status >= 500:
        log.warning("%s: %s", detail.reason, detail.message)
    return answer(request, status, detail)


def status_of(error: Exception) -> int:
    """HTTP status of one of our errors."""
    if isinstance(error, (Refusal, ServiceError)):
        return error.status
    return 404 if isinstance(error, WorkloadNotFound) else 503 if isinstance(error, BackendError) else 500


def reason_of(error: Exception) -> str:
    """Short label of one of our errors."""
    if isinstance(error, (Refusal, ServiceError)):
        return error.reason
    return "not-found" if isinstance(error, WorkloadNotFound) else "backend"


async def on_http(request: Request, error: Exception) -> Response:
    """What the framework refuses: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    reason, message = SENTENCES.get(error.status_code, ("refused", HTTPStatus(error.status_code).phrase.lower()))
    response = answer(request, error.status_code, ErrorDetail(reason=reason, message=message))
    response.headers.update(error.headers or {})
    return response


async def on_invalid(request: Request, error: Exception) -> Response:
    """422: the first field that is wrong."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    return answer(request, 422, ErrorDetail(reason="malformed", message=f"{path}: {first['msg']}", path=path))


async def on_login_needed(request: Request, error: Exception) -> Response:
    """A page for somebody who is not logged in: off to the hub."""
    assert isinstance(error, LoginNeeded)
    return to_login(context_of(request), error.next)


def answer(request: Request, status: int, detail: ErrorDetail) -> Response:
    """JSON, or a page where a browser asked for one."""
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(API)
    headers = {"WWW-Authenticate": "token"} if status == 401 else {}
    if wants_page:
        response: Response = page(context_of(request), "problem.html", None, status, message=detail.message)
    else:
        response = problem_json(status, detail)
    response.headers.update(headers)
    return response


def problem_json(status: int, detail: ErrorDetail) -> Response:
    """The one shape of errors."""
    return JSONResponse(ErrorBody(error=detail).model_dump(mode="json"), status_code=status)
