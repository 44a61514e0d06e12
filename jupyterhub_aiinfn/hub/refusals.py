"""Our refusals as exceptions that JupyterHub shows word for word: form, pending page, progress event and REST body."""

from __future__ import annotations

import logging
from html import escape

from jupyterhub.spawner import SpawnException

from jupyterhub_aiinfn.errors import Busy, Refusal


class Refused(SpawnException):
    """A spawn that policy does not allow; JupyterHub counts it as *failure*, not as *error*.

    ``jupyterhub_message`` is what every page, event and REST body shows: JupyterHub reads no other attribute.
    ``redirect`` is where a browser goes on to, or empty.
    """

    def __init__(self, refusal: Refusal, *, redirect: str = "", link: str = "") -> None:
        sentence = str(refusal)
        html = escape(sentence)
        if redirect:
            html += f' <a href="{escape(redirect)}">{escape(link)}</a>'
        super().__init__(sentence, reason=refusal.reason, message_html=html, status_code=refusal.status)
        self.jupyterhub_message = sentence
        self.jupyterhub_html_message = html
        self.redirect = redirect
        self.headers = {"Refresh": f"0; url={redirect}", "Location": redirect} if redirect else {}
        if isinstance(refusal, Busy):
            self.headers["Retry-After"] = str(refusal.retry_after)


class StartFailed(SpawnException):
    """A session that was granted and did not come up; ``last_lines`` is what it wrote last.

    It is a *failure* too: a person whose own files break the server must not be able to end the hub.
    """

    def __init__(self, sentence: str, *, last_lines: str = "", reason: str = "exited", status: int = 500) -> None:
        text = f"{sentence}\n{last_lines}" if last_lines else sentence
        html = escape(sentence) + (f'<pre class="aiinfn-log">{escape(last_lines)}</pre>' if last_lines else "")
        super().__init__(text, reason=reason, message_html=html, log_message=sentence, status_code=status)
        self.jupyterhub_message = text
        self.jupyterhub_html_message = html


class PrefillOnly(Exception):
    """A link came with options: the form is shown, and nothing starts.

    JupyterHub starts a server for any query argument unless ``options_from_query`` raises; the empty
    ``jupyterhub_message`` keeps the form free of an error message.
    """

    jupyterhub_message = ""


class QuietRefusals(logging.Filter):
    """Drops the tracebacks of refusals and the records about prefilled forms: neither is an error of the hub."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written at all."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, PrefillOnly):
            return False
        if isinstance(error, SpawnException):
            record.exc_info = None
            record.exc_text = None
            record.msg, record.args = f"{record.getMessage()}: {error.log_message}", ()
        return True
