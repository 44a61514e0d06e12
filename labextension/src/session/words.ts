/** The session in words and figures: pure functions, everything visible goes through the translator. */
import { TranslationBundle } from '@jupyterlab/translation';

import { LabSession, SessionDescription, StorageUse } from '../api';

/** One bar of the panel: `share` (0 to 1) is null where no limit or no use is known. */
export interface IMeter {
  name: string;
  text: string;
  share: number | null;
  note?: string;
}

const HOUR = 3600;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** The short text: profile, project, EMULATED, and the time left once it is less than an hour. */
export function label(
  session: LabSession,
  now: number,
  trans: TranslationBundle
): string {
  const { description } = session;
  const parts = [description.profile_name, description.project_name];
  if (description.emulated) {
    parts.push(trans.__('EMULATED'));
  }
  const left = secondsLeft(session, now);
  if (left !== null && left < HOUR) {
    parts.push(trans.__('%1 left', duration(left, trans)));
  }
  return parts.filter(part => part).join(' · ');
}

/** One sentence a line with all that is known. */
export function explanation(
  session: LabSession,
  trans: TranslationBundle
): string {
  const { description } = session;
  const end = endsAt(session);
  return [
    trans.__('Profile: %1', description.profile_name ?? ''),
    description.size && trans.__('Size: %1', description.size),
    accelerator(description, trans),
    description.project_name &&
      trans.__('Charged to the project: %1', description.project_name),
    description.image && trans.__('Image: %1', description.image),
    end && trans.__('Ends at the latest: %1', moment(end))
  ]
    .filter(line => line)
    .join('\n');
}

function accelerator(
  description: SessionDescription,
  trans: TranslationBundle
): string | null {
  const held = devices(description);
  if (held === null) {
    return null;
  }
  return description.emulated
    ? trans.__('Accelerator: %1 (EMULATED: no real device)', held)
    : trans.__('Accelerator: %1', held);
}

/** `2 × a100-1g`; null without an accelerator. */
export function devices(description: SessionDescription): string | null {
  return description.accelerator
    ? `${description.accelerator_count ?? 1} × ${description.accelerator}`
    : null;
}

/** When the longest life is over, as the service or else the start of the session said it. */
export function endsAt(session: LabSession): string | null {
  const { limits, description } = session;
  return limits ? limits.ends_at : description.ends_at;
}

/** Whole seconds until the longest life is over, never negative; null when nothing is known. */
export function secondsLeft(session: LabSession, now: number): number | null {
  return secondsUntil(endsAt(session), now);
}

/** Whole seconds until then, never negative; null for no moment. */
export function secondsUntil(iso: string | null, now: number): number | null {
  const end = iso === null ? NaN : Date.parse(iso);
  return Number.isNaN(end) ? null : Math.max(0, Math.round((end - now) / 1000));
}

/** A moment in the viewer's zone; text that is no date stays as it is. */
export function moment(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.valueOf())
    ? iso
    : date.toLocaleString(undefined, {
        weekday: 'short',
        day: 'numeric',
        month: 'short',
        hour: '2-digit',
        minute: '2-digit',
        timeZoneName: 'short'
      });
}

/** `4 h`, `1 h 05 min`, `14 min`, and below two minutes with seconds. */
export function duration(seconds: number, trans: TranslationBundle): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) {
    const hours = Math.floor(minutes / 60);
    const rest = String(minutes % 60).padStart(2, '0');
    return minutes % 60
      ? trans.__('%1 h %2 min', hours, rest)
      : trans.__('%1 h', hours);
  }
  if (minutes >= 2) {
    return trans.__('%1 min', minutes);
  }
  return minutes
    ? trans.__('%1 min %2 s', minutes, seconds % 60)
    : trans.__('%1 s', seconds);
}

/** `1.5 GiB`. */
export function bytes(count: number): string {
  let unit = 0;
  let figure = count;
  while (figure >= 1024 && unit < UNITS.length - 1) {
    figure /= 1024;
    unit += 1;
  }
  return `${unit && figure < 100 ? figure.toFixed(1) : Math.round(figure)} ${UNITS[unit]}`;
}

/** Cores, memory and graphics cards: used and allowed. */
export function resources(
  session: LabSession,
  trans: TranslationBundle
): IMeter[] {
  const { description, live } = session;
  const memory =
    description.memory_gib === null ? null : description.memory_gib * 2 ** 30;
  const found = [
    meter(trans.__('Cores'), live?.cores_used, description.cores, cores, trans),
    meter(trans.__('Memory'), live?.memory_bytes, memory, bytes, trans)
  ];
  for (const gpu of live?.gpus ?? []) {
    const used = gpu.memory_used_bytes;
    const one = meter(gpu.name, used, gpu.memory_total_bytes, bytes, trans);
    if (gpu.busy_percent !== null) {
      one.note = trans.__('Computing %1 % of the time', gpu.busy_percent);
    }
    found.push(one);
  }
  return found;
}

function cores(count: number): string {
  return String(Math.round(count * 100) / 100);
}

function meter(
  name: string,
  used: number | null | undefined,
  limit: number | null,
  words: (count: number) => string,
  trans: TranslationBundle
): IMeter {
  const share =
    typeof used === 'number' && limit ? Math.min(1, used / limit) : null;
  const known = typeof used === 'number' ? words(used) : null;
  return { name, share, text: usedOf(known, limit && words(limit), trans) };
}

function usedOf(
  used: string | null,
  limit: string | number | null,
  trans: TranslationBundle
): string {
  if (used === null) {
    return limit
      ? trans.__('%1 allowed, use not measured yet', limit)
      : trans.__('not known');
  }
  return limit
    ? trans.__('%1 of %2', used, limit)
    : trans.__('%1, no limit', used);
}

/** The home: used and limit, and what the limit is worth. */
export function home(use: StorageUse, trans: TranslationBundle): IMeter {
  const { used_bytes, limit_bytes } = use;
  const one = meter(trans.__('Home'), used_bytes, limit_bytes, bytes, trans);
  if (use.at_least && used_bytes !== null) {
    one.text = trans.__('at least %1', one.text);
  }
  if (used_bytes === null) {
    one.text = trans.__('use not counted');
  }
  const notes = [use.problem, enforcement(use, trans), free(use, trans)];
  return { ...one, note: notes.filter(note => note).join(' ') };
}

function enforcement(use: StorageUse, trans: TranslationBundle): string {
  return use.enforced ? '' : trans.__('Limit not enforced.');
}

function free(use: StorageUse, trans: TranslationBundle): string {
  return use.free_bytes === null
    ? ''
    : trans.__('%1 can still be written.', bytes(use.free_bytes));
}

/** Why the session may end for being idle; null where the profile has no such limit. */
export function idle(
  session: LabSession,
  now: number,
  trans: TranslationBundle
): string | null {
  const { limits } = session;
  if (!limits?.idle_after_seconds) {
    return null;
  }
  const limit = duration(limits.idle_after_seconds, trans);
  const since = limits.idle_since && Date.parse(limits.idle_since);
  if (!since) {
    return trans.__('Ends after %1 in which nothing computes.', limit);
  }
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  const idleFor = duration(seconds, trans);
  return trans.__('Ends after %1 idle; idle for %2.', limit, idleFor);
}

/** The warning with its countdown. */
export function warning(
  session: LabSession,
  now: number,
  trans: TranslationBundle
): string | null {
  const found = session.limits?.warning;
  if (!found) {
    return null;
  }
  const left = secondsUntil(found.ends_at, now) ?? 0;
  const time = duration(left, trans);
  return trans.__('Ends in %1. %2', time, found.message);
}

/** The next moment of the wall clock `HH:MM` after `now`; null for anything else. */
export function nextMoment(clock: string, now: number): Date | null {
  const found = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(clock.trim());
  if (!found) {
    return null;
  }
  const next = new Date(now);
  next.setHours(Number(found[1]), Number(found[2]), 0, 0);
  if (next.valueOf() <= now) {
    next.setDate(next.getDate() + 1);
  }
  return next;
}
