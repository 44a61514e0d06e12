/** What this session is and uses, as the server told it; holds no widget and speaks no HTTP. */
import { ISignal, Signal } from '@lumino/signaling';

import { LabSession } from '../api';

/** What the server emits when the session changed (`singleuser/events/panel.yaml`). */
export interface IPanelEvent {
  schema_id: string;
  session?: LabSession;
}

const SCHEMA_ID = 'urn:jupyterhub-aiinfn:panel';
/** Without news for so long (a laptop that slept), what is known is asked for again, in milliseconds. */
const STALE = 60_000;

/** The session that an event brings; null for events of others. */
export function sessionOf(event: IPanelEvent): LabSession | null {
  return event.schema_id === SCHEMA_ID ? (event.session ?? null) : null;
}

export class SessionModel {
  /** `load` gets the session from the server; it is called by `refresh` only. */
  constructor(load: () => Promise<LabSession>, clock = () => Date.now()) {
    this._load = load;
    this._clock = clock;
  }

  /** Emitted after every change, and by `tick`. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The session; null until the server has answered, and where it could not. */
  get session(): LabSession | null {
    return this._session;
  }

  /** Whether the platform started this server. */
  get underPlatform(): boolean {
    return this._session?.description.under_platform === true;
  }

  /** Whether the status bar has something to show. */
  get visible(): boolean {
    return this._wanted && this.underPlatform;
  }

  /** Whether the person wants to see it in the status bar (a setting). */
  set wanted(wanted: boolean) {
    this._wanted = wanted;
    this._changed.emit();
  }

  /** Why the last thing that was asked for was refused; empty when it was not. */
  get refusal(): string {
    return this._refusal;
  }

  /** Whether something that was asked for is under way. */
  get busy(): boolean {
    return this._busy;
  }

  /** Now, by the server's clock: the browser's may be wrong. Milliseconds. */
  now(): number {
    return this._clock() + this._ahead;
  }

  /** Take what the server said. */
  take(session: LabSession): void {
    this._session = session;
    this._heard = this._clock();
    this._ahead = Date.parse(session.now) - this._heard || 0;
    this._changed.emit();
  }

  /** Time goes on: draw the countdowns again. */
  tick(): void {
    this._changed.emit();
  }

  /** Ask the server again; a server that cannot answer leaves what was known. */
  async refresh(): Promise<void> {
    try {
      this.take(await this._load());
    } catch (error) {
      console.warn('aiinfn: the session is unknown', error);
    }
  }

  /** Ask again when nothing was heard for long. */
  async refreshStale(): Promise<void> {
    if (this._clock() - this._heard > STALE) {
      await this.refresh();
    }
  }

  /** Ask for a change; a refusal is kept with its reason, for the place where it was asked. */
  async ask(change: () => Promise<LabSession>): Promise<boolean> {
    this._busy = true;
    this._refusal = '';
    this._changed.emit();
    try {
      this.take(await change());
    } catch (error) {
      this._refusal = (error as Error).message;
    }
    this._busy = false;
    this._changed.emit();
    return !this._refusal;
  }

  private _load: () => Promise<LabSession>;
  private _clock: () => number;
  private _session: LabSession | null = null;
  private _wanted = true;
  private _refusal = '';
  private _busy = false;
  private _heard = 0;
  private _ahead = 0;
  private _changed = new Signal<this, void>(this);
}
