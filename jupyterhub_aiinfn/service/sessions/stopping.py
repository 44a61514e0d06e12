"""An administrator ends a session, with notice."""

from __future__ import annotations

import time

from jupyterhub_aiinfn.api.sessions import StopRequest
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.model.messages import read_message
from jupyterhub_aiinfn.service.acts import Act
from jupyterhub_aiinfn.service.context import Context
from jupyterhub_aiinfn.service.database.tables import StayRow
from jupyterhub_aiinfn.service.identity.caller import Caller


async def stop_with_notice(context: Context, caller: Caller, work: Workload, asked: StopRequest) -> StayRow:
    """Have the session end when the notice is over; the person reads the message in Lab meanwhile."""
    message = read_message(asked.message)
    act = Act(caller.name, "stopped a session", work.person or "", message, work.id)
    row = await context.stays.stop_at(work, int(time.time()) + asked.notice_seconds, message, act)
    context.keeper.wake()
    return row
