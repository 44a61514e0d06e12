import { IDocument, isStopping, saveAll } from '../model';

function document(
  path: string,
  { dirty = true, readOnly = false, fails = false } = {}
): IDocument & { saves: number } {
  const made = {
    path,
    model: { dirty, readOnly },
    saves: 0,
    save: async () => {
      made.saves += 1;
      if (fails) {
        throw new Error('the disk is full');
      }
    }
  };
  return made;
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
    const result = await saveAll([changed, same, fixed, changed]);
    expect(result).toEqual({ saved: ['a.ipynb'], failed: [] });
    expect([changed.saves, same.saves, fixed.saves]).toEqual([1, 0, 0]);
  });

  it('says what could not be saved and saves the rest', async () => {
    const full = document('a.ipynb', { fails: true });
    const fine = document('b.ipynb');
    expect(await saveAll([full, fine])).toEqual({
      saved: ['b.ipynb'],
      failed: ['a.ipynb']
    });
  });

  it('has nothing to do where nothing is open', async () => {
    expect(await saveAll([])).toEqual({ saved: [], failed: [] });
  });
});
