import { IDocument, isStopping, saveAll } from '../model';
import { IUnsaved, IUnsavedStore, recoveredName } from '../unsaved';

const BASE = 'http://hub/user/alice/';

function document(
  path: string,
  {
    dirty = true,
    readOnly = false,
    writable = true,
    fails = false,
    hangs = false
  } = {}
): IDocument & { saves: number } {
  const made = {
    path,
    model: {
      dirty,
      readOnly,
      toJSON: () => ({ cells: [] }),
      toString: () => `text of ${path}`
    },
    contentsModel: {
      type: path.endsWith('.ipynb') ? 'notebook' : 'file',
      writable
    },
    saves: 0,
    save: async () => {
      made.saves += 1;
      if (hangs) {
        await new Promise(() => undefined);
      }
      if (fails) {
        throw new Error('the disk is full');
      }
    }
  };
  return made;
}

class MemoryStore implements IUnsavedStore {
  kept = new Map<string, IUnsaved>();
  broken = false;

  async put(documents: IUnsaved[]): Promise<void> {
    if (this.broken) {
      throw new Error('private window');
    }
    documents.forEach(one => this.kept.set(one.path, one));
  }

  async all(): Promise<IUnsaved[]> {
    return [...this.kept.values()];
  }

  async remove(_: string, path: string): Promise<void> {
    this.kept.delete(path);
  }
}

describe('isStopping', () => {
  it('knows the event of our server and no other', () => {
    const event = {
      schema_id: 'urn:jupyterhub-aiinfn:session',
      event: 'stopping'
    };
    expect(isStopping(event)).toBe(true);
    expect(isStopping({ ...event, event: 'begun' })).toBe(false);
    expect(isStopping({ ...event, schema_id: 'urn:other' })).toBe(false);
  });
});

describe('saveAll', () => {
  it('saves what has changes, once, and nothing else', async () => {
    const changed = document('a.ipynb');
    const same = document('b.ipynb', { dirty: false });
    const fixed = document('c.txt', { readOnly: true });
    const store = new MemoryStore();
    const result = await saveAll(
      [changed, same, fixed, changed],
      store,
      BASE,
      1
    );
    expect(result).toEqual({ saved: ['a.ipynb'], failed: [], kept: [] });
    expect([changed.saves, same.saves, fixed.saves]).toEqual([1, 0, 0]);
    expect(store.kept.size).toBe(0);
  });

  it('keeps what can only be read, and does not try to save it', async () => {
    const fixed = document('public/a.ipynb', { writable: false });
    const store = new MemoryStore();
    const result = await saveAll([fixed], store, BASE, 1);
    const failed = ['public/a.ipynb'];
    expect(result).toEqual({ saved: [], failed, kept: failed });
    expect(fixed.saves).toBe(0);
    expect([...store.kept.keys()]).toEqual(failed);
  });

  it('keeps what could not be saved, or not in time, and saves the rest', async () => {
    const full = document('a.ipynb', { fails: true });
    const asks = document('c.txt', { hangs: true });
    const store = new MemoryStore();
    const result = await saveAll(
      [full, document('b.ipynb'), asks],
      store,
      BASE,
      0.05
    );
    const lost = ['a.ipynb', 'c.txt'];
    expect(result).toEqual({ saved: ['b.ipynb'], failed: lost, kept: lost });
    const contents = [...store.kept.values()].map(
      ({ type, format, content }) => [type, format, content]
    );
    expect(contents).toEqual([
      ['notebook', 'json', { cells: [] }],
      ['file', 'text', 'text of c.txt']
    ]);
  });

  it('saves also where the browser keeps nothing', async () => {
    const store = new MemoryStore();
    store.broken = true;
    const full = document('a.ipynb', { fails: true });
    const result = await saveAll([full, document('b.txt')], store, BASE, 1);
    expect(result).toEqual({ saved: ['b.txt'], failed: ['a.ipynb'], kept: [] });
  });

  it('has nothing to do where nothing is open', async () => {
    const result = await saveAll([], new MemoryStore(), BASE, 1);
    expect(result).toEqual({ saved: [], failed: [], kept: [] });
  });
});

describe('recoveredName', () => {
  const at = new Date(2026, 10, 24, 9, 5);

  it.each([
    ['a.ipynb', 0, 'a (unsaved 2026-11-24 09.05).ipynb'],
    ['x.y/a.b.txt', 1, 'x.y/a.b (unsaved 2026-11-24 09.05 2).txt'],
    ['x.y/Makefile', 0, 'x.y/Makefile (unsaved 2026-11-24 09.05)'],
    ['.profile', 0, '.profile (unsaved 2026-11-24 09.05)']
  ])('of %s', (path, attempt, expected) => {
    expect(recoveredName(path, at, attempt)).toBe(expected);
  });
});
