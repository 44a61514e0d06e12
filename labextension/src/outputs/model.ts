/** Bringing outputs that the server kept into an open notebook; knows no widget and speaks no HTTP. */
import { JSONExt, ReadonlyJSONValue } from '@lumino/coreutils';

/** One run of a cell, as `aiinfn/api/outputs` describes it. */
export interface IRun {
  id: string;
  cell: string;
  source: string;
  running: boolean;
  version: number;
  execution_count: number | null;
  /** null where this tab has them in this version. */
  outputs: ReadonlyJSONValue[] | null;
}

/** What the server answers. */
export interface IAnswer {
  runs: IRun[];
  /** What the file is now, when all that changed it since is among the runs; else empty. */
  hash: string;
}

/** The part of a cell that this needs. */
export interface ICell {
  readonly source: string;
  readonly outputs: ReadonlyJSONValue[];
  /** Show these outputs, and no longer what the kernel still sends for an earlier request. */
  show(run: IRun): void;
}

/** The part of an open notebook that this needs. */
export interface INotebook {
  /** The hash of the file as the tab has it. */
  readonly hash: string;
  cell(id: string): ICell | null;
  /** From now on the file is known by this hash: a save of the tab overwrites nothing that it does not have. */
  rebase(hash: string): void;
  ask(hash: string, known: Record<string, number>): Promise<IAnswer>;
}

const HAS_ANY = -1;

/** One notebook of this tab: what its own connection to the kernel brings, and what the server has beside that. */
export class Outputs {
  constructor(private readonly _notebook: INotebook) {}

  /** The tab asked the kernel for a run. */
  sent(id: string): void {
    this._live.set(id, this._connection);
  }

  /** The kernel said that it has done what was asked; on one connection nothing before that can have been lost. */
  finished(id: string): void {
    if (this._live.get(id) === this._connection) {
      this._complete.add(id);
    }
    this._own.add(id);
    this._live.delete(id);
  }

  /** The connection to the kernel is lost: whatever runs may say things that this tab does not hear. */
  lost(): void {
    for (const id of this._live.keys()) {
      this._own.add(id);
    }
    this._live.clear();
    this._connection += 1;
    this._stale = true;
  }

  /** Whether the connection was lost since the server was last asked: the file may have changed for our outputs. */
  get isStale(): boolean {
    return this._stale;
  }

  /** Ask the server, and show what is missing here. Whether something still runs that only the server hears. */
  bring(): Promise<boolean> {
    this._asking ??= this._bring().finally(() => {
      this._asking = null;
    });
    return this._asking;
  }

  /** The runs that the server need not send, or not in this version. */
  get known(): Record<string, number> {
    const known: Record<string, number> = {};
    for (const id of [...this._complete, ...this._live.keys()]) {
      known[id] = HAS_ANY;
    }
    return { ...known, ...Object.fromEntries(this._taken) };
  }

  private async _bring(): Promise<boolean> {
    const connection = this._connection;
    const answer = await this._notebook.ask(this._notebook.hash, this.known);
    const taken = answer.runs.filter(run => this._take(run));
    if (answer.hash) {
      this._notebook.rebase(answer.hash);
    }
    this._stale = this._stale && connection !== this._connection;
    if (taken.length) {
      // Say so: from now on these are this tab's to save.
      await this._notebook.ask(this._notebook.hash, this.known);
    }
    return answer.runs.some(run => run.running && this._taken.has(run.id));
  }

  private _take(run: IRun): boolean {
    const cell = this._notebook.cell(run.cell);
    if (run.outputs === null || cell === null) {
      return false;
    }
    if (cell.source !== run.source && !this._own.has(run.id)) {
      return false; // other code than what ran: the server keeps them elsewhere
    }
    const same = JSONExt.deepEqual([...cell.outputs], [...run.outputs]);
    if (!same || !this._taken.has(run.id) || !run.running) {
      cell.show(run);
    }
    this._taken.set(run.id, run.version);
    return true;
  }

  private _asking: Promise<boolean> | null = null;
  private _stale = false;
  private _connection = 0;
  /** Runs under way that this tab asked for, and on which connection. */
  private _live = new Map<string, number>();
  private _complete = new Set<string>();
  /** Runs that this tab asked for, however they went. */
  private _own = new Set<string>();
  private _taken = new Map<string, number>();
}
