/** The item of the status bar that says profile and project. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { ISession, SessionModel } from './model';

/** The short text: profile, project, and EMULATED where no real device stands behind the accelerator. */
export function label(session: ISession, trans: TranslationBundle): string {
  const parts = [session.profile_name, session.project_name];
  if (session.emulated) {
    parts.push(trans.__('EMULATED'));
  }
  return parts.filter(part => part).join(' · ');
}

/** One sentence a line with all that is known. */
export function explanation(
  session: ISession,
  trans: TranslationBundle
): string {
  return [
    trans.__('Profile: %1', session.profile_name ?? ''),
    session.size && trans.__('Size: %1', session.size),
    accelerator(session, trans),
    session.project_name &&
      trans.__('Charged to the project: %1', session.project_name),
    session.image && trans.__('Image: %1', session.image),
    session.ends_at && trans.__('Ends at the latest: %1', time(session.ends_at))
  ]
    .filter(line => line)
    .join('\n');
}

function accelerator(
  session: ISession,
  trans: TranslationBundle
): string | null {
  if (!session.accelerator) {
    return null;
  }
  const held = `${session.accelerator_count ?? 1} × ${session.accelerator}`;
  return session.emulated
    ? trans.__('Accelerator: %1 (EMULATED: no real device)', held)
    : trans.__('Accelerator: %1', held);
}

function time(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.valueOf()) ? iso : date.toLocaleString();
}

export class SessionStatus extends ReactWidget {
  constructor(model: SessionModel, trans: TranslationBundle) {
    super();
    this._model = model;
    this._trans = trans;
    this.id = 'jp-aiinfn-session-status';
    model.changed.connect(this._onChanged, this);
  }

  dispose(): void {
    this._model.changed.disconnect(this._onChanged, this);
    super.dispose();
  }

  protected render(): JSX.Element | null {
    const { session, visible } = this._model;
    if (!visible || session === null) {
      return null;
    }
    const text = explanation(session, this._trans);
    return (
      <span
        className={
          'jp-aiinfn-session jp-StatusBar-TextItem' +
          (session.emulated ? ' jp-aiinfn-session-emulated' : '')
        }
        role="note"
        aria-label={text}
        title={text}
      >
        {label(session, this._trans)}
      </span>
    );
  }

  private _onChanged(): void {
    this.update();
  }

  private _model: SessionModel;
  private _trans: TranslationBundle;
}
