/** The sections of the session panel; each is drawn from the session alone. */
import { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { LabSession, LiveFigures } from '../api';
import {
  IMeter,
  devices,
  duration,
  endsAt,
  home,
  idle,
  moment,
  nextMoment,
  resources,
  secondsLeft,
  warning
} from './words';

/** What every section is given. */
export interface ISection {
  session: LabSession;
  /** By the server's clock, in milliseconds. */
  now: number;
  trans: TranslationBundle;
}

/** What the person can ask for. */
export interface IActions {
  stop: () => void;
  change: () => void;
  extend: () => void;
  keepUntil: (until: string | null) => void;
}

function Section(props: {
  id: string;
  title: string;
  children: React.ReactNode;
}): JSX.Element {
  const id = `jp-aiinfn-panel-${props.id}`;
  return (
    <section aria-labelledby={id} className="jp-aiinfn-panel-section">
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </section>
  );
}

/** What this session is. */
export function About({ session, trans }: ISection): JSX.Element {
  const { description } = session;
  const held = devices(description);
  const lines: [string, string | null | undefined][] = [
    [trans.__('Profile'), description.profile_name],
    [trans.__('Size'), description.size],
    [trans.__('Environment'), description.image_name],
    [trans.__('Charged to'), description.project_name],
    [trans.__('Accelerator'), held]
  ];
  return (
    <Section id="about" title={trans.__('This session')}>
      <dl>
        {lines
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                {value}
                {value === held && description.emulated && (
                  <strong className="jp-aiinfn-emulated">
                    {trans.__('EMULATED: no real device')}
                  </strong>
                )}
              </dd>
            </div>
          ))}
      </dl>
    </Section>
  );
}

/** One figure with its bar; the text says everything that the bar shows. */
export function Meter({ name, text, share, note }: IMeter): JSX.Element {
  const percent = share === null ? null : Math.round(share * 100);
  return (
    <div className="jp-aiinfn-meter">
      <div className="jp-aiinfn-meter-line">
        <span>{name}</span>
        <span className="jp-aiinfn-meter-text">{text}</span>
      </div>
      {percent !== null && (
        <div
          className={
            'jp-aiinfn-meter-bar' +
            (percent >= 90 ? ' jp-aiinfn-meter-full' : '')
          }
          role="meter"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={percent}
          aria-valuetext={`${text} (${percent} %)`}
        >
          <span style={{ width: `${percent}%` }} />
        </div>
      )}
      {note && <p className="jp-aiinfn-meter-note">{note}</p>}
    </div>
  );
}

/** What its processes use now, and the home. */
export function Resources({ session, trans }: ISection): JSX.Element {
  return (
    <Section id="resources" title={trans.__('Used now')}>
      {resources(session, trans).map(one => (
        <Meter key={one.name} {...one} />
      ))}
      {session.live && (
        <p className="jp-aiinfn-meter-note">{counts(session.live, trans)}</p>
      )}
      {session.home && <Meter {...home(session.home, trans)} />}
    </Section>
  );
}

function counts(live: LiveFigures, trans: TranslationBundle): string {
  const processes = live.processes;
  const kernels = live.running_kernels;
  return [
    trans._n('%1 process', '%1 processes', processes),
    trans._n(
      '%1 kernel is running a cell',
      '%1 kernels are running cells',
      kernels
    )
  ].join(', ');
}

/** How long it may stay. */
export function Time(props: ISection): JSX.Element {
  const { session, now, trans } = props;
  const end = endsAt(session);
  const left = secondsLeft(session, now);
  const idleness = idle(session, now, trans);
  const keep = session.limits?.keep_until;
  return (
    <Section id="time" title={trans.__('Time')}>
      {end === null ? (
        <p>{trans.__('No longest life is known.')}</p>
      ) : (
        <p>
          {trans.__('Ends at the latest on %1', moment(end))}
          {left !== null && (
            <strong className="jp-aiinfn-left">
              {trans.__('%1 left', duration(left, trans))}
            </strong>
          )}
        </p>
      )}
      {idleness && <p>{idleness}</p>}
      {keep && (
        <p>{trans.__('Not ended for being idle before %1', moment(keep))}</p>
      )}
    </Section>
  );
}

/** What must be known now: the end that comes, a service that is away, the reason of a refusal. */
export function Notices(
  props: ISection & { refusal: string; extend: JSX.Element | null }
): JSX.Element {
  const { session, now, trans, refusal } = props;
  const soon = warning(session, now, trans);
  return (
    <div role="status" className="jp-aiinfn-notices">
      {soon && (
        <div className="jp-aiinfn-warning">
          <p>{soon}</p>
          {props.extend}
        </div>
      )}
      {refusal && <p className="jp-aiinfn-refusal">{refusal}</p>}
      {session.service_problem && <p>{session.service_problem}</p>}
    </div>
  );
}

/** The button that lengthens the session; absent where the profile never allows it. */
export function Extend(
  props: ISection & { busy: boolean; actions: IActions }
): JSX.Element | null {
  const { session, trans, busy, actions } = props;
  const limits = session.limits;
  if (!limits?.extend_seconds) {
    return null;
  }
  const refused = limits.extend_refusal;
  const by = duration(limits.extend_seconds, trans);
  return (
    <div className="jp-aiinfn-extend">
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept"
        disabled={busy || Boolean(refused)}
        onClick={actions.extend}
      >
        {trans.__('Extend by %1', by)}
      </button>
      <span>
        {refused ||
          trans._n('once more', '%1 times more', limits.extensions_left)}
      </span>
    </div>
  );
}

/** Until when it is not to be ended for being idle. */
export function Keep(
  props: ISection & { busy: boolean; actions: IActions }
): JSX.Element | null {
  const { session, now, trans, busy, actions } = props;
  const [clock, setClock] = React.useState('');
  const latest = session.limits?.keep_until_latest;
  if (!latest) {
    return null;
  }
  const chosen = nextMoment(clock, now);
  return (
    <form
      className="jp-aiinfn-keep"
      onSubmit={event => {
        event.preventDefault();
        actions.keepUntil(chosen && chosen.toISOString());
      }}
    >
      <label>
        {trans.__('Keep, even if idle, until')}
        <input
          type="time"
          className="jp-mod-styled"
          value={clock}
          onChange={event => setClock(event.target.value)}
        />
      </label>
      <button
        type="submit"
        className="jp-mod-styled"
        disabled={busy || chosen === null}
      >
        {trans.__('Keep')}
      </button>
      <p className="jp-aiinfn-meter-note">
        {trans.__('At the latest until %1', moment(latest))}
      </p>
    </form>
  );
}

/** What administrators say. */
export function Announcements({
  session,
  trans
}: ISection): JSX.Element | null {
  const found = session.limits?.announcements ?? [];
  if (!found.length) {
    return null;
  }
  return (
    <Section id="announcements" title={trans.__('Announcements')}>
      <ul>
        {found.map(one => (
          <li key={one.id}>
            {one.message}
            <p className="jp-aiinfn-meter-note">
              {`${one.author}, ${moment(one.created_at)}`}
            </p>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Where to read and where to ask. */
export function Help(props: ISection & { platform: string }): JSX.Element {
  const { session, trans, platform } = props;
  const support = session.description.support;
  return (
    <Section id="help" title={trans.__('Help')}>
      <ul>
        <li>
          <a href={platform} target="_blank" rel="noreferrer">
            {trans.__('The platform: what is free, and your sessions')}
          </a>
        </li>
        {support && (
          <li>
            {trans.__('Support: ')}
            <Contact text={support} />
          </li>
        )}
      </ul>
    </Section>
  );
}

function Contact({ text }: { text: string }): JSX.Element {
  const address = /^https?:\/\//.test(text)
    ? text
    : /^[^\s@]+@[^\s@]+$/.test(text)
      ? `mailto:${text}`
      : null;
  return address === null ? (
    <span>{text}</span>
  ) : (
    <a href={address} target="_blank" rel="noreferrer">
      {text}
    </a>
  );
}
