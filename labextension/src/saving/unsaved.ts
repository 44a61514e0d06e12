/** Documents that could not be saved before the session ended, kept in this browser until they are recovered. */

/** One document as it was. */
export interface IUnsaved {
  /** Path of the file, below the base address of the person's server. */
  path: string;
  base: string;
  /** Milliseconds since 1970. */
  at: number;
  type: 'notebook' | 'file';
  format: 'json' | 'text';
  /** What the contents of Jupyter take. */
  content: unknown;
}

/** Where they are kept. */
export interface IUnsavedStore {
  put(documents: IUnsaved[]): Promise<void>;
  all(base: string): Promise<IUnsaved[]>;
  remove(base: string, path: string): Promise<void>;
}

const NAME = 'jupyterhub-aiinfn';
const TABLE = 'unsaved';

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () =>
      reject(request.error ?? new Error('the browser keeps nothing'));
  });
}

/** The browser's own database: it outlives the tab, and takes documents of many megabytes. */
export class BrowserStore implements IUnsavedStore {
  async put(documents: IUnsaved[]): Promise<void> {
    const table = await this._table('readwrite');
    await Promise.all(documents.map(one => done(table.put(one))));
  }

  async all(base: string): Promise<IUnsaved[]> {
    const table = await this._table('readonly');
    const found = (await done(table.getAll())) as IUnsaved[];
    return found.filter(one => one.base === base);
  }

  async remove(base: string, path: string): Promise<void> {
    await done((await this._table('readwrite')).delete([base, path]));
  }

  private async _table(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () =>
      request.result.createObjectStore(TABLE, { keyPath: ['base', 'path'] });
    return (await done(request)).transaction(TABLE, mode).objectStore(TABLE);
  }
}

/** `work.ipynb` as `work (unsaved 2026-11-24 21.50).ipynb`, with a number from the second try on. */
export function recoveredName(path: string, at: Date, attempt: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
  const time = `${two(at.getHours())}.${two(at.getMinutes())}`;
  const again = attempt ? ` ${attempt + 1}` : '';
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  const end = dot > 0 ? path.length - name.length + dot : path.length;
  return `${path.slice(0, end)} (unsaved ${day.join('-')} ${time}${again})${path.slice(end)}`;
}
