/** The side panel: what this session is and uses, how long it stays, and what can be done about it. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import React from 'react';

import { SessionModel } from './model';
import {
  About,
  Announcements,
  Extend,
  Help,
  IActions,
  Keep,
  Notices,
  Resources,
  Time
} from './sections';

/** What the panel needs from its surroundings. */
export interface IPanelOptions {
  model: SessionModel;
  trans: TranslationBundle;
  actions: IActions;
  /** Address of the platform's own page. */
  platform: string;
  /** Called when the panel comes into sight or leaves it. */
  onSight: (visible: boolean) => void;
}

export class SessionPanel extends ReactWidget {
  constructor(options: IPanelOptions) {
    super();
    this._options = options;
    this.id = 'jp-aiinfn-session-panel';
    this.addClass('jp-aiinfn-panel');
    options.model.changed.connect(this._onChanged, this);
  }

  dispose(): void {
    this._options.model.changed.disconnect(this._onChanged, this);
    super.dispose();
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.onSight(true);
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._options.onSight(false);
  }

  protected onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.querySelector('button')?.focus();
  }

  protected render(): JSX.Element {
    const { model, trans, actions, platform } = this._options;
    const { session } = model;
    if (session === null || !model.underPlatform) {
      return (
        <p role="status">
          {session === null
            ? trans.__('The session is not known yet.')
            : trans.__('The platform did not start this JupyterLab.')}
        </p>
      );
    }
    const given = { session, trans, now: model.now() };
    const asking = { ...given, actions, busy: model.busy };
    return (
      <>
        <Notices
          {...given}
          refusal={model.refusal}
          extend={<Extend {...asking} />}
        />
        <div className="jp-aiinfn-actions">
          <button
            type="button"
            className="jp-mod-styled"
            onClick={actions.change}
          >
            {trans.__('Change profile…')}
          </button>
          <button
            type="button"
            className="jp-mod-styled jp-mod-warn"
            onClick={actions.stop}
          >
            {trans.__('Stop…')}
          </button>
        </div>
        <About {...given} />
        <Resources {...given} />
        <Time {...given} />
        {!session.limits?.warning && <Extend {...asking} />}
        <Keep {...asking} />
        <Announcements {...given} />
        <Help {...given} platform={platform} />
      </>
    );
  }

  private _onChanged(): void {
    if (this.isVisible) {
      this.update();
    }
  }

  private _options: IPanelOptions;
}
