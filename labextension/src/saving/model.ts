/** Saving what is open before the server ends; holds no widget and speaks no HTTP. */
import { IUnsaved, IUnsavedStore } from './unsaved';

/** What the server says about itself (`singleuser/events/session.yaml`). */
export interface ISessionEvent {
  schema_id: string;
  event?: string;
  seconds?: number;
}

/** The part of a document's context that saving needs. */
export interface IDocument {
  readonly path: string;
  readonly model: {
    dirty: boolean;
    readonly readOnly: boolean;
    toJSON(): unknown;
    toString(): string;
  };
  readonly contentsModel: {
    readonly type: string;
    readonly writable?: boolean;
  } | null;
  save(): Promise<void>;
}

/** What became of the open documents: their paths. */
export interface IResult {
  saved: string[];
  failed: string[];
  /** Those of `failed` that this browser keeps. */
  kept: string[];
}

const SCHEMA_ID = 'urn:jupyterhub-aiinfn:session';

/** Whether the event says that the server is about to end. */
export function isStopping(event: ISessionEvent): boolean {
  return event.schema_id === SCHEMA_ID && event.event === 'stopping';
}

/** Whether the file may be written: one that the person may only read is never saved, however often it is asked. */
export function isWritable(document: IDocument): boolean {
  return document.contentsModel?.writable !== false;
}

/** The document as it is kept, whatever happens to the tab. */
export function asUnsaved(document: IDocument, base: string): IUnsaved {
  const notebook = document.contentsModel?.type === 'notebook';
  return {
    path: document.path,
    base,
    at: Date.now(),
    type: notebook ? 'notebook' : 'file',
    format: notebook ? 'json' : 'text',
    content: notebook ? document.model.toJSON() : document.model.toString()
  };
}

/**
 * Save every document that has changes, at the same time.
 *
 * All of them are kept in the browser first: a save may fail, or end in a question that nobody answers in time.
 * `seconds` is how long the server waits; what is not saved by then counts as failed, and stays kept.
 */
export async function saveAll(
  documents: Iterable<IDocument>,
  store: IUnsavedStore,
  base: string,
  seconds: number
): Promise<IResult> {
  const changed = [...new Set(documents)].filter(
    one => one.model.dirty && !one.model.readOnly
  );
  const kept = await keep(changed, store, base);
  const results = await Promise.all(
    changed.map(one => savesWithin(one, seconds))
  );
  const paths = (wanted: boolean) =>
    changed
      .filter((_, index) => results[index] === wanted)
      .map(one => one.path);
  const [saved, failed] = [paths(true), paths(false)];
  await Promise.allSettled(saved.map(path => store.remove(base, path)));
  return { saved, failed, kept: kept ? failed : [] };
}

async function keep(
  documents: IDocument[],
  store: IUnsavedStore,
  base: string
): Promise<boolean> {
  try {
    await store.put(documents.map(one => asUnsaved(one, base)));
    return true;
  } catch (error) {
    console.warn('aiinfn: this browser keeps no documents', error);
    return false;
  }
}

function savesWithin(document: IDocument, seconds: number): Promise<boolean> {
  if (!isWritable(document)) {
    return Promise.resolve(false); // JupyterLab would ask where else to save it
  }
  const late = new Promise<boolean>(resolve =>
    setTimeout(() => resolve(false), seconds * 1000)
  );
  const saved = document.save().then(
    () => true,
    () => false
  );
  return Promise.race([saved, late]);
}
