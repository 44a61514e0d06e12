"""What people read about the limits of a session."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.api.sessions import EndWarning, SessionLimits
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.model.limits import (
    Clock,
    Policy,
    Stay,
    Step,
    StopCause,
    extension_refusal,
    keep_latest,
    next_step,
    warning_sentence,
)
from jupyterhub_aiinfn.service.context import Context
from jupyterhub_aiinfn.service.database.tables import StayRow

REPORT_SECONDS = 30


async def limits(context: Context, work: Workload, row: StayRow) -> SessionLimits:
    """How long a session may stay, as things stand now."""
    policy, stay = Policy.from_json(row.policy), context.keeper.stay(work, row)
    clock = clock_of(context, stay.now)
    idle = stay.idle_for
    return SessionLimits(
        workload=work,
        ends_at=work.ends_at,
        idle_after_seconds=policy.idle_after,
        idle_since=None if idle is None else (stay.now - idle).replace(microsecond=0),
        activity=context.keeper.activity(work),
        warning=warning(policy, stay, row.stop_message, clock),
        warn_seconds=int(policy.warning_time(StopCause.max_age).total_seconds()),
        extend_seconds=policy.extend_by,
        extensions_left=max(0, policy.extend_times - row.extensions),
        extend_refusal=extension_refusal(policy, stay, clock),
        keep_until=stay.keep_until if stay.keep_until and stay.keep_until > stay.now else None,
        keep_until_latest=keep_latest(policy, stay),
        announcements=tuple(await context.board.for_profile(work.profile)),
        next_report_seconds=REPORT_SECONDS,
    )


def warning(policy: Policy, stay: Stay, message: str, clock: Clock) -> EndWarning | None:
    """What the person must be told now, if anything."""
    step, end = next_step(policy, stay)
    if step is Step.nothing or end is None:
        return None
    sentence = warning_sentence(policy, stay, end, message, clock)
    return EndWarning(cause=end.cause, ends_at=end.at, message=sentence)


def clock_of(context: Context, now: datetime) -> Clock:
    """Moments in the site's zone: ``14:20 CET``, with the date when that is another day."""
    zone = ZoneInfo(context.values.site.timezone)

    def clock(moment: datetime) -> str:
        local = moment.astimezone(zone)
        near = local.date() == now.astimezone(zone).date() or abs(moment - now) < timedelta(hours=6)
        return local.strftime("%H:%M %Z" if near else "%Y-%m-%d %H:%M %Z")

    return clock
