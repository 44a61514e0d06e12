import { ILeaving, NotSaved, leave } from '../leaving';

const model = () => ({ dirty: true, readOnly: false, toJSON: () => ({}) });

function way(given: Partial<ILeaving> = {}) {
  const steps: string[] = [];
  const on: ILeaving = {
    documents: () => [
      {
        path: 'a.ipynb',
        model: model(),
        contentsModel: null,
        save: async () => void steps.push('saved')
      }
    ],
    stop: async () => steps.push('stopped'),
    hasEnded: async () => steps.filter(one => one === 'paused').length > 2,
    goTo: address => void steps.push(address),
    pause: async () => void steps.push('paused'),
    ...given
  };
  return { on, steps };
}

describe('leave', () => {
  it('saves, then stops, then waits for the end, then goes on', async () => {
    const { on, steps } = way();
    await leave(on, '/hub/home');
    expect(steps.indexOf('saved')).toBeLessThan(steps.indexOf('stopped'));
    expect(steps.slice(-1)[0]).toBe('/hub/home');
    expect(steps.filter(one => one === 'paused')).toHaveLength(3);
  });

  it('stops nothing when a document cannot be saved', async () => {
    const save = async () => {
      throw new Error('the disk is full');
    };
    const { on, steps } = way({
      documents: () => [
        { path: 'b.ipynb', model: model(), contentsModel: null, save }
      ]
    });
    const left = leave(on, '/hub/home');
    await expect(left).rejects.toBeInstanceOf(NotSaved);
    await expect(left).rejects.toThrow('b.ipynb');
    expect(steps).not.toContain('stopped');
    expect(steps).not.toContain('/hub/home');
  });

  it('is not kept by a changed document that can only be read', async () => {
    const save = jest.fn(async () => undefined);
    const fixed = {
      path: 'public/c.ipynb',
      model: model(),
      contentsModel: { type: 'notebook', writable: false },
      save
    };
    const { on, steps } = way({ documents: () => [fixed] });
    await leave(on, '/hub/home');
    expect(save).not.toHaveBeenCalled();
    expect(steps).toContain('stopped');
  });

  it('leaves nothing about which JupyterLab would ask', async () => {
    const changed = {
      path: 'a.ipynb',
      model: model(),
      contentsModel: { type: 'notebook' },
      save: async () => undefined
    };
    const dirtyAt: Record<string, boolean> = {};
    const { on } = way({
      documents: () => [changed],
      stop: async () => void (dirtyAt.stop = changed.model.dirty),
      goTo: () => void (dirtyAt.goTo = changed.model.dirty)
    });
    await leave(on, '/hub/home');
    expect(dirtyAt).toEqual({ stop: true, goTo: false });
  });

  it('stays when the hub does not stop the session', async () => {
    const stop = async () => {
      throw new Error('the hub does not answer');
    };
    const { on, steps } = way({ stop });
    await expect(leave(on, '/hub/home')).rejects.toThrow('does not answer');
    expect(steps).not.toContain('/hub/home');
  });

  it('goes on after half a minute, whatever the server says', async () => {
    const { on, steps } = way({ hasEnded: async () => false });
    await leave(on, '/hub/home');
    expect(steps.filter(one => one === 'paused')).toHaveLength(61);
    expect(steps.slice(-1)[0]).toBe('/hub/home');
  });
});
