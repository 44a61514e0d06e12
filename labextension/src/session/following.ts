/** Keeps the model up to date: events of the server, countdowns, and the word that somebody looks at live figures. */
import { ServiceManager } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';

import { LabSession } from '../api';
import { send } from '../requests';
import { IPanelEvent, SessionModel, sessionOf } from './model';
import { secondsUntil } from './words';

/** The server believes a tab for 150 s. */
const RENEW = 60_000;
const SLOW = 15_000;
const FAST = 1000;
/** Below so many seconds a countdown shows seconds. */
const SECONDS_MATTER = 125;

export class Following {
  constructor(
    private _services: ServiceManager.IManager,
    private _model: SessionModel
  ) {
    _services.events.stream.connect((_, event) => {
      const session = sessionOf(event as unknown as IPanelEvent);
      if (session) {
        _model.take(session);
      }
    });
    this._clock = new Poll({
      name: 'aiinfn:session-clock',
      factory: async () => this._tick(),
      frequency: { interval: SLOW, backoff: false },
      standby: 'when-hidden'
    });
    this._watch = new Poll({
      name: 'aiinfn:session-watching',
      auto: false,
      factory: () => this._say(true),
      frequency: { interval: RENEW, backoff: true, max: 5 * RENEW },
      standby: 'when-hidden'
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && _model.underPlatform) {
        void _model.refreshStale();
      }
    });
  }

  /** Whether live figures are to be measured: the panel is in sight, and the person wants them. */
  set watching(watching: boolean) {
    if (watching === this._watching) {
      return;
    }
    this._watching = watching;
    if (watching) {
      void this._watch.start();
      void this._watch.refresh();
    } else {
      void this._watch.stop();
      this._say(false).catch(() => undefined); // the server forgets this tab by itself
    }
  }

  private async _say(watching: boolean): Promise<void> {
    const body = { tab: this._tab, watching };
    const settings = this._services.serverSettings;
    this._model.take(
      await send<LabSession>('POST', 'watching', body, settings)
    );
  }

  private _tick(): void {
    const { session } = this._model;
    const end = session?.limits?.warning?.ends_at ?? null;
    const left = secondsUntil(end, this._model.now());
    const interval = left !== null && left < SECONDS_MATTER ? FAST : SLOW;
    if (this._clock.frequency.interval !== interval) {
      this._clock.frequency = { ...this._clock.frequency, interval };
    }
    this._model.tick();
  }

  private _tab = UUID.uuid4();
  private _watching = false;
  private _clock: Poll<void>;
  private _watch: Poll<void>;
}
