import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { axe, toHaveNoViolations } from 'jest-axe';

import {
  EnvironmentsModel,
  IEnvironment,
  IListing,
  IServer,
  IWork,
  SCHEMA_ID,
  packagesIn,
  size
} from '../model';
import { EnvironmentsPanel, IActions, stateName } from '../widget';

expect.extend(toHaveNoViolations);

const trans = nullTranslator.load('jupyterhub_aiinfn');

const TOOLS: IEnvironment = {
  name: 'tools',
  place: '~',
  kernel: 'aiinfn-tools',
  reference: 'tools',
  image: 'python',
  image_title: 'Python',
  requested: ['uproot>=5'],
  created_at: '2026-11-24T10:00:00+00:00',
  created_by: 'alice',
  bytes: 12_300_000,
  state: 'ready',
  problem: '',
  own: true,
  used: true,
  sharing: 'private'
};
const SHARED: IEnvironment = {
  ...TOOLS,
  name: 'theirs',
  place: 'lhcb',
  kernel: 'aiinfn.lhcb.theirs',
  reference: 'lhcb/theirs',
  created_by: 'bob',
  own: false,
  used: false,
  sharing: 'read'
};
const EMPTY: IListing = {
  base: { image: 'python', title: 'Python', python: '3.11' },
  places: [
    { id: '~', writable: true },
    { id: 'lhcb', writable: false }
  ],
  environments: [],
  works: []
};
const WORK: IWork = {
  id: '0123456789abcdef',
  verb: 'create',
  reference: 'tools',
  state: 'running',
  step: '',
  message: '',
  lines: []
};

/** A server of the test: answers `listing`, remembers what it was sent, refuses with `refusal`. */
class Server implements IServer {
  listing: IListing = EMPTY;
  refusal = '';
  sent: [string, string, unknown][] = [];

  async list(): Promise<IListing> {
    this._refuse();
    return this.listing;
  }

  async send<T>(
    method: 'POST' | 'DELETE',
    path: string,
    body?: unknown
  ): Promise<T | null> {
    this.sent.push([method, path, body]);
    this._refuse();
    return WORK as T;
  }

  async lock(): Promise<{ lock: string }> {
    this._refuse();
    return { lock: 'uproot==5.6' };
  }

  private _refuse(): void {
    if (this.refusal) {
      throw new Error(this.refusal);
    }
  }
}

function told(event: Partial<IWork>) {
  return { schema_id: SCHEMA_ID, ...WORK, ...event };
}

describe('packagesIn', () => {
  it.each([
    ['', []],
    ['numpy scipy, uproot', ['numpy', 'scipy', 'uproot']],
    ['numpy >= 2, < 3\nuproot', ['numpy >= 2, < 3', 'uproot']],
    ['# why\nuproot>=5,  # io\n\n', ['uproot>=5']],
    ['x @ https://example.org/x#part', ['x @ https://example.org/x#part']],
    ['tomli; python_version < "3.12"', ['tomli; python_version < "3.12"']]
  ])('reads %j', (text, packages) => {
    expect(packagesIn(text)).toEqual(packages);
  });
});

it('says sizes as people read them', () => {
  expect([size(1), size(12_300_000), size(2_340_000_000)]).toEqual([
    '1 MB',
    '13 MB',
    '2.3 GB'
  ]);
});

it('keeps a state that it does not know', () => {
  expect(stateName('base-changed', trans)).toBe('needs repair');
  expect(stateName('new', trans)).toBe('new');
});

describe('EnvironmentsModel', () => {
  let server: Server;
  let changed: jest.Mock;
  let model: EnvironmentsModel;

  beforeEach(() => {
    server = new Server();
    changed = jest.fn();
    model = new EnvironmentsModel(server, changed);
  });

  it('shows the work that was begun before this tab was there', async () => {
    server.listing = {
      ...EMPTY,
      works: [
        { ...WORK, step: 'collecting uproot', lines: ['a'] },
        { ...WORK, id: 'old', state: 'done' }
      ]
    };
    await model.refresh();
    expect(model.works.map(work => work.step)).toEqual(['collecting uproot']);
  });

  it('follows a work to its end and has the kernels read again', async () => {
    expect(
      await model.create({ name: 'tools', place: '~', packages: [] })
    ).toBe(true);
    await model.hear(told({ step: 'installing', lines: ['one'] }));
    await model.hear(told({ lines: ['two'] }));
    expect(changed).not.toHaveBeenCalled();
    server.listing = { ...EMPTY, environments: [TOOLS] };
    await model.hear(told({ state: 'done', message: 'tools is ready' }));
    expect(model.works).toHaveLength(1);
    expect(model.works[0].lines).toEqual(['one', 'two']);
    expect(model.works[0].message).toBe('tools is ready');
    expect(model.listing?.environments).toEqual([TOOLS]);
    expect(changed).toHaveBeenCalledTimes(1);
    model.dismiss(model.works[0]);
    expect(model.works).toEqual([]);
  });

  it('keeps the last lines of a log that never ends', async () => {
    const lines = Array.from({ length: 400 }, (_, number) => `${number}`);
    await model.hear(told({ lines }));
    await model.hear(told({ lines }));
    expect(model.works[0].lines).toHaveLength(500);
  });

  it('passes over events of others', async () => {
    await model.hear({ schema_id: 'urn:other', id: 'x' });
    await model.hear({ schema_id: SCHEMA_ID });
    expect(model.works).toEqual([]);
  });

  it('says why something was refused, until something works', async () => {
    server.refusal = '"-x" is not a package; write a name';
    const wish = { name: 'tools', place: '~', packages: ['-x'] };
    expect(await model.create(wish)).toBe(false);
    expect(model.problem).toBe(server.refusal);
    expect(await model.lock(TOOLS)).toBeNull();
    server.refusal = '';
    expect(await model.lock(TOOLS)).toBe('uproot==5.6');
    expect(model.problem).toBe('');
  });

  it('names place and environment in every address', async () => {
    await model.change(SHARED, 'use');
    await model.remove(TOOLS);
    await model.cancel(WORK);
    expect(server.sent.map(([method, path]) => `${method} ${path}`)).toEqual([
      'POST environments/lhcb/theirs/use',
      'DELETE environments/~/tools',
      `DELETE environment-works/${WORK.id}`
    ]);
  });
});

describe('EnvironmentsPanel', () => {
  let server: Server;
  let model: EnvironmentsModel;
  let panel: EnvironmentsPanel;
  let actions: jest.Mocked<IActions>;

  beforeEach(async () => {
    server = new Server();
    model = new EnvironmentsModel(server);
    actions = {
      confirmRemoval: jest.fn().mockResolvedValue(false),
      save: jest.fn(),
      openNotebook: jest.fn()
    };
    panel = new EnvironmentsPanel(model, actions, trans);
    Widget.attach(panel, document.body);
    await panel.renderPromise;
  });

  afterEach(() => panel.dispose());

  async function shown(listing: IListing): Promise<string> {
    server.listing = listing;
    await model.refresh();
    MessageLoop.flush();
    await panel.renderPromise;
    return panel.node.textContent ?? '';
  }

  async function press(name: string): Promise<void> {
    const button = panel.node.querySelector<HTMLButtonElement>(
      `button[aria-label="${name}"]`
    );
    button?.click();
    await new Promise(resolve => setTimeout(resolve, 0));
  }

  it('explains itself where there is nothing, and says why one image only', async () => {
    const text = await shown(EMPTY);
    expect(text).toContain('builds on the image of this session');
    expect(text).toContain('no other can be seen from here');
    expect(await axe(panel.node)).toHaveNoViolations();
  });

  it('offers no form where the session has no image', async () => {
    expect(await shown({ ...EMPTY, base: null })).toContain('has no image');
    expect(panel.node.querySelector('form')).toBeNull();
  });

  it('does not offer a folder that cannot be written', async () => {
    await shown(EMPTY);
    const options = [...panel.node.querySelectorAll('option')];
    expect(options.map(option => option.disabled)).toEqual([false, true]);
  });

  it('offers own ones to change, those of others to use', async () => {
    await shown({ ...EMPTY, environments: [TOOLS, SHARED] });
    const labels = [...panel.node.querySelectorAll('button[aria-label]')].map(
      button => button.getAttribute('aria-label')
    );
    expect(labels).toEqual([
      'New notebook: tools',
      'Stop using: tools',
      'Export lock file: tools',
      'Remove: tools',
      'Use: lhcb/theirs',
      'Export lock file: lhcb/theirs'
    ]);
    expect(panel.node.textContent).toContain('its code runs with your rights');
    expect(await axe(panel.node)).toHaveNoViolations();
  });

  it('says what is wrong with one, and offers to repair it', async () => {
    const broken = {
      ...TOOLS,
      state: 'unfinished',
      problem: 'It is unfinished'
    };
    expect(await shown({ ...EMPTY, environments: [broken] })).toContain(
      'It is unfinished'
    );
    await press('Repair: tools');
    expect(server.sent).toEqual([['POST', 'environments/~/tools/repair', {}]]);
  });

  it('asks before it removes', async () => {
    await shown({ ...EMPTY, environments: [TOOLS] });
    await press('Remove: tools');
    expect(server.sent).toEqual([]);
    actions.confirmRemoval.mockResolvedValue(true);
    await press('Remove: tools');
    expect(server.sent).toEqual([
      ['DELETE', 'environments/~/tools', undefined]
    ]);
  });

  it('saves the lock file', async () => {
    await shown({ ...EMPTY, environments: [TOOLS] });
    await press('Export lock file: tools');
    expect(actions.save).toHaveBeenCalledWith('tools.lock.txt', 'uproot==5.6');
  });

  it('shows work with its log, and axe finds nothing', async () => {
    await model.hear(told({ step: 'installing uproot', lines: ['a line'] }));
    const text = await shown(EMPTY);
    expect(text).toContain('installing uproot');
    expect(panel.node.querySelector('pre')?.textContent).toBe('a line');
    expect(panel.node.querySelector('progress')).not.toBeNull();
    expect(await axe(panel.node)).toHaveNoViolations();
    server.refusal = 'the server is away';
    await model.refresh();
    MessageLoop.flush();
    await panel.renderPromise;
    expect(panel.node.querySelector('[role=alert]')?.textContent).toBe(
      'the server is away'
    );
  });
});
