/** Own environments as the server told them, and the work on them; holds no widget and speaks no HTTP itself. */
import { ISignal, Signal } from '@lumino/signaling';

/** The place that is the person's home; every other is the key of a project. */
export const HOME = '~';
export const SCHEMA_ID = 'urn:jupyterhub-aiinfn:environments';
const MOST_LINES = 500;

export interface IEnvironment {
  name: string;
  place: string;
  kernel: string;
  reference: string;
  image?: string;
  image_title?: string;
  python?: string;
  requested?: string[];
  created_at?: string;
  created_by?: string;
  bytes: number;
  state: string;
  problem: string;
  own: boolean;
  used: boolean;
  sharing: 'private' | 'read' | 'write';
}

export interface IWork {
  id: string;
  verb: string;
  reference: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  step: string;
  message: string;
  lines: string[];
}

/** The body of `GET aiinfn/api/environments`. */
export interface IListing {
  base: { image: string; title: string; python: string } | null;
  places: { id: string; writable: boolean }[];
  environments: IEnvironment[];
  works: IWork[];
}

/** What is asked of the server. */
export interface IServer {
  list(): Promise<IListing>;
  send<T>(
    method: 'POST' | 'DELETE',
    path: string,
    body?: unknown
  ): Promise<T | null>;
  lock(path: string): Promise<{ lock: string }>;
}

export interface IWish {
  name: string;
  place: string;
  packages: string[];
}

/** The packages in what a person typed: separated by lines or commas at the end of a line, remarks left out. */
export function packagesIn(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.replace(/(^|\s)#.*$/, '').replace(/,\s*$/, ''))
    .flatMap(line => (isPlain(line) ? line.split(/[\s,]+/) : [line]))
    .map(item => item.trim())
    .filter(item => item);
}

/** Whether a line holds names only, so that blanks separate packages. */
function isPlain(line: string): boolean {
  return !/[;@<>=~!]/.test(line);
}

/** Bytes as people read them. */
export function size(bytes: number): string {
  return bytes >= 1e9
    ? `${(bytes / 1e9).toFixed(1)} GB`
    : `${Math.ceil(bytes / 1e6)} MB`;
}

function pathOf(environment: IEnvironment, verb = ''): string {
  const path = `environments/${environment.place}/${environment.name}`;
  return verb ? `${path}/${verb}` : path;
}

export class EnvironmentsModel {
  /** `onChange` is called when the set of kernels may have changed. */
  constructor(server: IServer, onChange: () => void = () => undefined) {
    this._server = server;
    this._onChange = onChange;
  }

  /** Emitted after every change of what is shown. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the server told; null before it did. */
  get listing(): IListing | null {
    return this._listing;
  }

  /** Why the last request went wrong, in words; empty when it did not. */
  get problem(): string {
    return this._problem;
  }

  /** Work under way and ended in this tab's time, the newest first. */
  get works(): IWork[] {
    return this._works;
  }

  /** Ask the server anew. */
  async refresh(): Promise<void> {
    await this._try(async () => {
      const listing = await this._server.list();
      this._listing = listing;
      const running = listing.works.filter(work => work.state === 'running');
      running.forEach(work => this._take(work, true));
    });
  }

  /** Begin to make an environment; whether that was accepted. */
  create(wish: IWish): Promise<boolean> {
    return this._begin('POST', 'environments', wish);
  }

  install(environment: IEnvironment, packages: string[]): Promise<boolean> {
    return this._begin('POST', pathOf(environment, 'install'), { packages });
  }

  repair(environment: IEnvironment): Promise<boolean> {
    return this._begin('POST', pathOf(environment, 'repair'), {});
  }

  remove(environment: IEnvironment): Promise<boolean> {
    return this._begin('DELETE', pathOf(environment));
  }

  /** `use`, `stop-using`, `share`, `share-writable` or `unshare`. */
  async change(environment: IEnvironment, verb: string): Promise<void> {
    await this._try(async () => {
      await this._server.send('POST', pathOf(environment, verb), {});
      this._onChange();
    });
    await this.refresh();
  }

  /** The lock file; null (and a problem) when it cannot be had. */
  async lock(environment: IEnvironment): Promise<string | null> {
    let text: string | null = null;
    await this._try(async () => {
      text = (await this._server.lock(pathOf(environment, 'lock'))).lock;
    });
    return text;
  }

  /** Stop a piece of work. */
  async cancel(work: IWork): Promise<void> {
    await this._try(async () => {
      await this._server.send('DELETE', `environment-works/${work.id}`);
    });
  }

  /** Take an event of the server. */
  async hear(event: Partial<IWork> & { schema_id?: string }): Promise<void> {
    if (event.schema_id !== SCHEMA_ID || !event.id) {
      return;
    }
    this._take(event as IWork, false);
    this._changed.emit();
    if (event.state !== 'running') {
      this._onChange();
      const problem = this._problem;
      await this.refresh();
      this._problem = this._problem || problem;
    }
  }

  /** Take a piece of work that has ended off the list. */
  dismiss(work: IWork): void {
    this._works = this._works.filter(other => other.id !== work.id);
    this._changed.emit();
  }

  private _take(work: IWork, whole: boolean): void {
    const known = this._works.find(other => other.id === work.id);
    const before = whole || !known ? [] : known.lines;
    const taken = {
      id: work.id,
      verb: work.verb,
      reference: work.reference,
      state: work.state,
      step: work.step,
      message: work.message,
      lines: [...before, ...work.lines].slice(-MOST_LINES)
    };
    if (known && known.state !== 'running') {
      return; // an answer that was overtaken by the event of its end
    }
    this._works = known
      ? this._works.map(other => (other.id === work.id ? taken : other))
      : [taken, ...this._works];
  }

  private async _begin(
    method: 'POST' | 'DELETE',
    path: string,
    body?: unknown
  ): Promise<boolean> {
    return this._try(async () => {
      const work = await this._server.send<IWork>(method, path, body);
      if (work && !this._works.some(other => other.id === work.id)) {
        this._take(work, true);
      }
    });
  }

  private async _try(action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      this._problem = '';
      return true;
    } catch (error) {
      this._problem = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      this._changed.emit();
    }
  }

  private _server: IServer;
  private _onChange: () => void;
  private _listing: IListing | null = null;
  private _works: IWork[] = [];
  private _problem = '';
  private _changed = new Signal<this, void>(this);
}
