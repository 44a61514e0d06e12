import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { axe, toHaveNoViolations } from 'jest-axe';

import { LabSession } from '../../api';
import { SessionModel, sessionOf } from '../model';
import { SessionStatus } from '../widget';
import { explanation } from '../words';
import { EMULATED, NOW, SESSION, WARNED } from './example';

expect.extend(toHaveNoViolations);

const trans = nullTranslator.load('jupyterhub_aiinfn');
const BY_HAND: LabSession = {
  ...SESSION,
  description: { ...SESSION.description, under_platform: false }
};

function made(session: LabSession, open = jest.fn()) {
  const model = new SessionModel(
    async () => session,
    () => NOW
  );
  const status = new SessionStatus(model, trans, open);
  Widget.attach(status, document.body);
  return { model, status };
}

async function rendered(status: SessionStatus): Promise<void> {
  MessageLoop.flush();
  await status.renderPromise;
}

describe('sessionOf', () => {
  it('knows the event of our server and no other', () => {
    const schema_id = 'urn:jupyterhub-aiinfn:panel';
    expect(sessionOf({ schema_id, session: SESSION })).toBe(SESSION);
    expect(sessionOf({ schema_id: 'urn:other', session: SESSION })).toBeNull();
    expect(sessionOf({ schema_id })).toBeNull();
  });
});

describe('SessionModel', () => {
  it('shows nothing before the server answered', () => {
    expect(new SessionModel(async () => SESSION).visible).toBe(false);
  });

  it('is visible and says so once the server answered', async () => {
    const model = new SessionModel(async () => SESSION);
    const changes = jest.fn();
    model.changed.connect(changes);
    await model.refresh();
    expect(model.visible).toBe(true);
    expect(changes).toHaveBeenCalledTimes(1);
  });

  it('stays invisible where the platform did not start the server', async () => {
    const model = new SessionModel(async () => BY_HAND);
    await model.refresh();
    expect(model.visible).toBe(false);
  });

  it('keeps what was known when the server stops answering', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation();
    let alive = true;
    const model = new SessionModel(async () => {
      if (!alive) {
        throw new Error('no answer');
      }
      return SESSION;
    });
    await model.refresh();
    alive = false;
    await model.refresh();
    expect(model.session).toEqual(SESSION);
    expect(warn).toHaveBeenCalled();
    warn.mockRestore();
  });

  it('follows the setting', async () => {
    const model = new SessionModel(async () => SESSION);
    await model.refresh();
    model.wanted = false;
    expect(model.visible).toBe(false);
  });

  it('counts by the clock of the server, whatever the browser says', () => {
    const model = new SessionModel(
      async () => SESSION,
      () => NOW - 3_600_000
    );
    model.take(SESSION);
    expect(model.now()).toBe(NOW);
  });

  it('asks again only when nothing was heard for a minute', async () => {
    let clock = NOW;
    const load = jest.fn(async () => SESSION);
    const model = new SessionModel(load, () => clock);
    model.take(SESSION);
    await model.refreshStale();
    expect(load).not.toHaveBeenCalled();
    clock += 61_000;
    await model.refreshStale();
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('keeps the reason of a refusal until the next wish', async () => {
    const model = new SessionModel(async () => SESSION);
    model.take(SESSION);
    const refused = async () => {
      throw new Error('it was extended twice already');
    };
    expect(await model.ask(refused)).toBe(false);
    expect(model.refusal).toBe('it was extended twice already');
    expect(model.busy).toBe(false);
    expect(model.session).toBe(SESSION);
    expect(await model.ask(async () => WARNED)).toBe(true);
    expect(model.refusal).toBe('');
    expect(model.session).toBe(WARNED);
  });
});

describe('SessionStatus', () => {
  it('renders nothing outside the platform', async () => {
    const { model, status } = made(BY_HAND);
    await model.refresh();
    await rendered(status);
    expect(status.node.textContent).toBe('');
    status.dispose();
  });

  it('shows the short text, explains it in full, and axe finds nothing', async () => {
    const { model, status } = made(EMULATED);
    await model.refresh();
    await rendered(status);
    const item = status.node.querySelector('button');
    expect(item?.textContent).toBe('GPU · LHCb FlashSim · EMULATED');
    expect(item?.getAttribute('title')).toBe(explanation(EMULATED, trans));
    expect(await axe(status.node)).toHaveNoViolations();
    status.dispose();
  });

  it('opens the panel, and says how little is left', async () => {
    const open = jest.fn();
    const { model, status } = made(WARNED, open);
    await model.refresh();
    await rendered(status);
    const item = status.node.querySelector('button');
    expect(item?.textContent).toContain('10 min left');
    item?.click();
    expect(open).toHaveBeenCalledTimes(1);
    status.dispose();
  });
});
