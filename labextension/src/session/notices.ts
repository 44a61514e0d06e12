/** Notifications: the warning before an end, with its countdown, and each announcement once. */
import { Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { SessionModel } from './model';
import { duration, warning } from './words';

/** What the notices need from their surroundings. */
export interface INotices {
  extend: () => void;
  open: () => void;
  /** Ids of announcements that were shown before. */
  seen: () => readonly number[];
  remember: (ids: number[]) => void;
  /** Called once for each new warning (a sound, if the person wants one). */
  alert: () => void;
}

/** Announcements of which the ids are kept; older ones are long over. */
const KEPT = 100;

export class Notices {
  constructor(model: SessionModel, trans: TranslationBundle, on: INotices) {
    this._model = model;
    this._trans = trans;
    this._on = on;
    model.changed.connect(this._update, this);
  }

  private _update(): void {
    this._warn();
    this._announce();
  }

  private _warn(): void {
    const { session } = this._model;
    const text = session && warning(session, this._model.now(), this._trans);
    if (!session || !text) {
      this._take();
      return;
    }
    const { refusal } = this._model;
    // JupyterLab cuts long messages: what is new comes first
    const message = refusal ? `${refusal} ${text}` : text;
    const found = session.limits?.warning;
    const key = `${found?.cause} ${found?.ends_at}`;
    if (key !== this._key) {
      this._take();
      this._key = key;
      this._id = Notification.warning(message, {
        autoClose: false,
        actions: this._actions()
      });
      this._on.alert();
    } else if (message !== this._shown) {
      // a notification that the person closed stays closed
      Notification.update({
        id: this._id,
        message,
        actions: this._actions()
      });
    }
    this._shown = message;
  }

  private _actions(): Notification.IAction[] {
    const limits = this._model.session?.limits;
    const trans = this._trans;
    const actions: Notification.IAction[] = [
      { label: trans.__('Session'), callback: this._on.open }
    ];
    if (limits?.extend_seconds && !limits.extend_refusal) {
      actions.push({
        label: trans.__('Extend by %1', duration(limits.extend_seconds, trans)),
        displayType: 'accent',
        callback: event => {
          event.preventDefault(); // the notification stays: it says how it went
          this._on.extend();
        }
      });
    }
    return actions;
  }

  private _take(): void {
    if (this._key) {
      Notification.dismiss(this._id);
      this._key = '';
    }
  }

  private _announce(): void {
    const found = this._model.session?.limits?.announcements ?? [];
    const known = [...this._on.seen(), ...this._told];
    const fresh = found.filter(one => !known.includes(one.id));
    for (const one of fresh) {
      this._told.add(one.id);
      Notification.info(
        this._trans.__('%1 says: %2', one.author, one.message),
        {
          autoClose: false,
          actions: [
            {
              label: this._trans.__('Session'), // a long one is there in full
              callback: this._on.open
            }
          ]
        }
      );
    }
    if (fresh.length) {
      const ids = [...this._on.seen(), ...fresh.map(one => one.id)];
      this._on.remember([...new Set(ids)].slice(-KEPT));
    }
  }

  private _model: SessionModel;
  private _trans: TranslationBundle;
  private _on: INotices;
  private _key = '';
  private _id = '';
  private _shown = '';
  private _told = new Set<number>();
}
