/** The way out of a session: documents are saved, the hub ends it, and the browser goes on to a page of the hub. */
import { IDocument, isWritable, saveAll } from '../saving/model';
import { IUnsavedStore } from '../saving/unsaved';

/** What leaving needs from JupyterLab, the server and the browser. */
export interface ILeaving {
  documents: () => Iterable<IDocument>;
  /** Have the hub end this session; rejects with a sentence. */
  stop: () => Promise<unknown>;
  /** Whether the session has ended. */
  hasEnded: () => Promise<boolean>;
  /** Open another page in place of JupyterLab. */
  goTo: (address: string) => void;
  pause: (milliseconds: number) => Promise<void>;
}

/** JupyterLab writes its workspace (which tabs are open) three quarters of a second after a change. */
const WORKSPACE_SETTLES = 1000;
const PAUSE = 500;
const LONGEST = 30_000;
const SAVING_SECONDS = 30;
/** Where a save fails the session goes on and the tab has the document: the browser need not keep it. */
const NOWHERE: IUnsavedStore = {
  put: async () => undefined,
  all: async () => [],
  remove: async () => undefined
};

/** Raised when documents could not be saved: then nothing was stopped. */
export class NotSaved extends Error {
  constructor(readonly paths: string[]) {
    super(paths.join(', '));
  }
}

/**
 * Save, stop and go on to `address` once the session has ended (or takes too long to say so).
 *
 * Rejects with `NotSaved`, or with the sentence of whoever refused; the session then goes on.
 */
export async function leave(on: ILeaving, address: string): Promise<void> {
  // What can only be read cannot be saved, and must not keep anybody here; the end of the session has it kept.
  const documents = [...on.documents()];
  const [{ failed }] = await Promise.all([
    saveAll(documents.filter(isWritable), NOWHERE, '', SAVING_SECONDS),
    on.pause(WORKSPACE_SETTLES)
  ]);
  if (failed.length) {
    throw new NotSaved(failed);
  }
  await on.stop();
  for (let waited = 0; waited < LONGEST; waited += PAUSE) {
    if (await on.hasEnded()) {
      break;
    }
    await on.pause(PAUSE);
  }
  for (const { model } of documents) {
    model.dirty = false; // all that can be done is done: JupyterLab need not ask whether to leave the page
  }
  on.goTo(address);
}
