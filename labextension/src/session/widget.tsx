/** The item of the status bar that says profile, project and the end, and opens the panel. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { SessionModel } from './model';
import { explanation, label } from './words';

export class SessionStatus extends ReactWidget {
  /** `open` shows the panel. */
  constructor(model: SessionModel, trans: TranslationBundle, open: () => void) {
    super();
    this._model = model;
    this._trans = trans;
    this._open = open;
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
    const urgent = Boolean(session.limits?.warning);
    return (
      <button
        className={
          'jp-aiinfn-session jp-StatusBar-TextItem' +
          (session.description.emulated ? ' jp-aiinfn-session-emulated' : '') +
          (urgent ? ' jp-aiinfn-session-urgent' : '')
        }
        type="button"
        title={text}
        onClick={this._open}
      >
        {label(session, this._model.now(), this._trans)}
      </button>
    );
  }

  private _onChanged(): void {
    this.update();
  }

  private _model: SessionModel;
  private _trans: TranslationBundle;
  private _open: () => void;
}
