/** What this session is, as the server told it; holds no widget and speaks no HTTP. */
import { ISignal, Signal } from '@lumino/signaling';

/** The body of `GET aiinfn/api/session`. */
export interface ISession {
  under_platform: boolean;
  profile: string | null;
  profile_name: string | null;
  project: string | null;
  project_name: string | null;
  image: string | null;
  size: string | null;
  accelerator: string | null;
  accelerator_count: number | null;
  emulated: boolean;
  started_at: string | null;
  ends_at: string | null;
}

export class SessionModel {
  /** `load` gets the session from the server; it is called by `refresh` only. */
  constructor(load: () => Promise<ISession>) {
    this._load = load;
  }

  /** Emitted after every change of `session` or `visible`. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The session; null until the server has answered, and where it could not. */
  get session(): ISession | null {
    return this._session;
  }

  /** Whether there is something to show: the person wants it and the platform started this server. */
  get visible(): boolean {
    return this._wanted && this._session?.under_platform === true;
  }

  /** Whether the person wants to see it (a setting). */
  set wanted(wanted: boolean) {
    this._wanted = wanted;
    this._changed.emit();
  }

  /** Ask the server again; a server that cannot answer leaves what was known. */
  async refresh(): Promise<void> {
    try {
      this._session = await this._load();
    } catch (error) {
      console.warn('aiinfn: the session is unknown', error);
      return;
    }
    this._changed.emit();
  }

  private _load: () => Promise<ISession>;
  private _session: ISession | null = null;
  private _wanted = true;
  private _changed = new Signal<this, void>(this);
}
