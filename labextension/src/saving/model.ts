/** Saving what is open before the server ends; holds no widget and speaks no HTTP. */

/** What the server says about itself (`singleuser/events/session.yaml`). */
export interface ISessionEvent {
  schema_id: string;
  event?: string;
  seconds?: number;
}

/** The part of a document's context that saving needs. */
export interface IDocument {
  readonly path: string;
  readonly model: { readonly dirty: boolean; readonly readOnly: boolean };
  save(): Promise<void>;
}

const SCHEMA_ID = 'urn:jupyterhub-aiinfn:session';

/** Whether the event says that the server is about to end. */
export function isStopping(event: ISessionEvent): boolean {
  return event.schema_id === SCHEMA_ID && event.event === 'stopping';
}

/** Save every document that has changes, at the same time; the paths of those that could not be saved. */
export async function saveAll(documents: Iterable<IDocument>): Promise<{
  saved: string[];
  failed: string[];
}> {
  const changed = [...new Set(documents)].filter(
    one => one.model.dirty && !one.model.readOnly
  );
  const results = await Promise.allSettled(changed.map(one => one.save()));
  const paths = (status: string) =>
    changed
      .filter((_, index) => results[index].status === status)
      .map(one => one.path);
  return { saved: paths('fulfilled'), failed: paths('rejected') };
}
