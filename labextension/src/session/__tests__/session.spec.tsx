import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { axe, toHaveNoViolations } from 'jest-axe';

import { ISession, SessionModel } from '../model';
import { SessionStatus, explanation, label } from '../widget';

expect.extend(toHaveNoViolations);

const trans = nullTranslator.load('jupyterhub_aiinfn');

const SESSION: ISession = {
  under_platform: true,
  profile: 'gpu',
  profile_name: 'GPU',
  project: 'lhcb',
  project_name: 'LHCb FlashSim',
  image: 'python',
  size: 'small',
  accelerator: null,
  accelerator_count: null,
  emulated: false,
  started_at: null,
  ends_at: null
};

const EMULATED: ISession = {
  ...SESSION,
  accelerator: 'a100-1g',
  accelerator_count: 2,
  emulated: true
};

async function shown(model: SessionModel): Promise<SessionStatus> {
  const status = new SessionStatus(model, trans);
  Widget.attach(status, document.body);
  await status.renderPromise;
  return status;
}

async function rendered(status: SessionStatus): Promise<void> {
  MessageLoop.flush();
  await status.renderPromise;
}

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
    const model = new SessionModel(async () => ({
      ...SESSION,
      under_platform: false
    }));
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
});

describe('the words', () => {
  it('name profile and project', () => {
    expect(label(SESSION, trans)).toBe('GPU · LHCb FlashSim');
  });

  it('leave out an absent project', () => {
    expect(label({ ...SESSION, project_name: null }, trans)).toBe('GPU');
  });

  it('say EMULATED next to the accelerator', () => {
    expect(label(EMULATED, trans)).toContain('EMULATED');
    expect(explanation(EMULATED, trans)).toContain(
      '2 × a100-1g (EMULATED: no real device)'
    );
  });

  it('keep an end that is no date as it is', () => {
    const text = explanation({ ...SESSION, ends_at: 'soon' }, trans);
    expect(text).toContain('Ends at the latest: soon');
  });
});

describe('SessionStatus', () => {
  it('renders nothing outside the platform', async () => {
    const model = new SessionModel(async () => ({
      ...SESSION,
      under_platform: false
    }));
    const status = await shown(model);
    await model.refresh();
    await rendered(status);
    expect(status.node.textContent).toBe('');
    status.dispose();
  });

  it('shows the short text, explains it in full, and axe finds nothing', async () => {
    const model = new SessionModel(async () => EMULATED);
    const status = await shown(model);
    await model.refresh();
    await rendered(status);
    const item = status.node.querySelector('[role="note"]');
    expect(item?.textContent).toBe('GPU · LHCb FlashSim · EMULATED');
    expect(item?.getAttribute('title')).toBe(explanation(EMULATED, trans));
    expect(await axe(status.node)).toHaveNoViolations();
    status.dispose();
  });
});
