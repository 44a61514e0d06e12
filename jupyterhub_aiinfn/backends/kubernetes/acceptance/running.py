"""One acceptance from its beginning to its end: whatever happens, there is a report, and nothing stays behind."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.values import Values, values_hash

from ..connection import Connection
from ..manifests import cluster_of
from .plan import chosen
from .report import Finding, Report, Result
from .trial import Say, Trial, begun


async def accept(values: Values, kubeconfig: Path, limit: float, only: Sequence[str], say: Say) -> Report:
    """Try every accelerator of the values, or ``only`` these; ``say`` hears of each finding at once.

    An interrupt (Ctrl-C, SIGTERM) ends what was started and the report says so. Raises
    :class:`~jupyterhub_aiinfn.errors.BackendError` for values of one machine and for names that are no accelerators.
    """
    cluster_of(values)
    keys, report = chosen(values, only), begun(values_hash(values))
    work, loop = asyncio.ensure_future(_run(values, kubeconfig, limit, keys, report, say)), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        report.interrupted = True
    except AiinfnError as error:
        finding = Finding("cluster", "access", Result.failed, str(error))
        report.findings.append(finding)
        say(finding)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    report.ended_at = datetime.now(UTC)
    return report


async def _run(values: Values, kubeconfig: Path, limit: float, keys: Sequence[str], report: Report, say: Say) -> None:
    trial = Trial(values, await Connection.of_file(kubeconfig), report, limit, say)
    try:
        await trial.open()
        await trial.rules()
        for key in keys:
            await trial.accelerator(key)
    finally:
        await trial.close()
