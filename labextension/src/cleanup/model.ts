/** Whether the home has room, as the server says it; holds no widget and speaks no HTTP. */

/** The part of `GET aiinfn/api/cleanup` that JupyterLab needs. */
export interface IHome {
  /** Whether JupyterLab keeps its state outside the home until the session ends. */
  rescue: boolean;
  /** Why nothing can be saved now; empty when it can. */
  problem: string;
}

/** What the server says about the home (`singleuser/events/home.yaml`). */
export interface IHomeEvent {
  schema_id: string;
  event?: string;
  message?: string;
}

const SCHEMA_ID = 'urn:jupyterhub-aiinfn:home';

/** The sentence of an event that says that something could not be saved; null for any other event. */
export function fullMessage(event: IHomeEvent): string | null {
  return event.schema_id === SCHEMA_ID && event.event === 'full'
    ? (event.message ?? '')
    : null;
}

/** Lets a warning through at once, and again when it was closed: saving fails every two minutes while it is full. */
export class OneWarning {
  /** `show` shows a warning and says its id; `isOpen` whether the one of that id is still there. */
  constructor(
    show: (message: string) => string,
    isOpen: (id: string) => boolean
  ) {
    this._show = show;
    this._isOpen = isOpen;
  }

  /** Warn, unless the last warning can still be read. */
  warn(message: string): void {
    if (this._id === null || !this._isOpen(this._id)) {
      this._id = this._show(message);
    }
  }

  private _id: string | null = null;
  private _show: (message: string) => string;
  private _isOpen: (id: string) => boolean;
}
