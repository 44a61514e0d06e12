import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { axe, toHaveNoViolations } from 'jest-axe';

import { LabSession, ProfileOffer } from '../../api';
import { ProfileChoice } from '../change';
import { SessionModel } from '../model';
import { SessionPanel } from '../panel';
import { LIMITS, LIVE, NOW, SESSION, WARNED } from './example';

expect.extend(toHaveNoViolations);

const trans = nullTranslator.load('jupyterhub_aiinfn');

async function shown(session: LabSession) {
  const actions = {
    stop: jest.fn(),
    change: jest.fn(),
    extend: jest.fn(),
    keepUntil: jest.fn()
  };
  const model = new SessionModel(
    async () => session,
    () => NOW
  );
  const onSight = jest.fn();
  const platform = '/services/aiinfn/';
  const panel = new SessionPanel({ model, trans, actions, platform, onSight });
  await model.refresh();
  Widget.attach(panel, document.body);
  await drawn(panel);
  return { panel, model, actions, onSight };
}

async function drawn(panel: Widget & { renderPromise?: Promise<void> }) {
  panel.update();
  MessageLoop.flush();
  await panel.renderPromise;
}

function button(panel: Widget, name: string): HTMLButtonElement | undefined {
  return [...panel.node.querySelectorAll('button')].find(one =>
    one.textContent?.startsWith(name)
  );
}

describe('SessionPanel', () => {
  it('says figures in text beside the bars, and axe finds nothing', async () => {
    const { panel } = await shown(LIVE);
    expect(panel.node.textContent).toContain('1.5 of 2');
    const meters = [...panel.node.querySelectorAll('[role="meter"]')];
    expect(meters.map(one => one.getAttribute('aria-label'))).toEqual([
      'Cores',
      'Memory',
      'NVIDIA T4',
      'Home'
    ]);
    expect(meters[0].getAttribute('aria-valuetext')).toBe('1.5 of 2 (75 %)');
    expect(await axe(panel.node)).toHaveNoViolations();
    panel.dispose();
  });

  it('tells when it comes into sight and leaves it', async () => {
    const { panel, onSight } = await shown(SESSION);
    panel.hide();
    panel.show();
    expect(onSight.mock.calls).toEqual([[false], [true]]);
    panel.dispose();
  });

  it('warns in a live region, with the button that extends', async () => {
    const { panel, actions } = await shown(WARNED);
    const status = panel.node.querySelector('[role="status"]');
    expect(status?.textContent).toContain('Ends in 10 min.');
    expect(status?.textContent).toContain('Variables in memory are lost');
    button(panel, 'Extend by 4 h')?.click();
    expect(actions.extend).toHaveBeenCalledTimes(1);
    expect(await axe(panel.node)).toHaveNoViolations();
    panel.dispose();
  });

  it('says why it cannot be extended, where the button is', async () => {
    const refusal = 'it was extended 2 times, as often as the profile allows';
    const limits = { ...LIMITS, extend_refusal: refusal, extensions_left: 0 };
    const { panel } = await shown({ ...SESSION, limits });
    const extend = button(panel, 'Extend by');
    expect(extend?.disabled).toBe(true);
    expect(extend?.parentElement?.textContent).toContain(refusal);
    panel.dispose();
  });

  it('shows the reason of a refused wish', async () => {
    const { panel, model } = await shown(WARNED);
    await model.ask(async () => {
      throw new Error('a reservation begins then');
    });
    await drawn(panel);
    const status = panel.node.querySelector('[role="status"]');
    expect(status?.textContent).toContain('a reservation begins then');
    panel.dispose();
  });

  it('says nothing of extending where the profile never allows it', async () => {
    const limits = { ...LIMITS, extend_seconds: 0, keep_until_latest: null };
    const { panel } = await shown({ ...SESSION, limits });
    expect(button(panel, 'Extend')).toBeUndefined();
    expect(button(panel, 'Keep')).toBeUndefined();
    panel.dispose();
  });

  it('shows text of people as text', async () => {
    const message = '<img src=x onerror=alert(1)>';
    const created_at = '2026-11-24T09:00:00Z';
    const announcements = [
      {
        id: 1,
        message,
        profile: null,
        author: 'admin',
        created_at,
        until: null
      }
    ];
    const limits = { ...LIMITS, announcements };
    const { panel } = await shown({ ...SESSION, limits });
    expect(panel.node.textContent).toContain(message);
    expect(panel.node.querySelector('img')).toBeNull();
    panel.dispose();
  });

  it('goes on without the service, and says so', async () => {
    const service_problem = 'the platform service does not answer';
    const { panel } = await shown({ ...LIVE, service_problem });
    expect(panel.node.textContent).toContain(service_problem);
    expect(panel.node.textContent).toContain('1.5 of 2');
    panel.dispose();
  });

  it('makes no link of a contact that is none', async () => {
    const description = {
      ...SESSION.description,
      support: 'javascript:alert(1)'
    };
    const { panel } = await shown({ ...SESSION, description });
    const links = [...panel.node.querySelectorAll('a')];
    expect(links.map(one => one.getAttribute('href'))).toEqual([
      '/services/aiinfn/'
    ]);
    panel.dispose();
  });
});

describe('ProfileChoice', () => {
  const offer = (key: string, available: boolean): ProfileOffer => ({
    key,
    name: key.toUpperCase(),
    description: '',
    image: key,
    image_name: key,
    sizes: ['small: 1 core, 2 GiB'],
    accelerators: [],
    max_seconds: 3600,
    available,
    reason: available ? '' : '2 of 2 are in use'
  });

  it('preselects another profile that can be had, and says why one cannot', async () => {
    const offers = [offer('a', true), offer('b', false), offer('c', true)];
    const choice = new ProfileChoice(offers, 'a', trans);
    Widget.attach(choice, document.body);
    await drawn(choice);
    expect(choice.getValue()).toBe('c');
    const inputs = [...choice.node.querySelectorAll('input')];
    expect(inputs.map(one => one.disabled)).toEqual([false, true, false]);
    expect(choice.node.textContent).toContain('2 of 2 are in use');
    expect(choice.node.textContent).toContain('Variables in memory are lost');
    inputs[0].click();
    await drawn(choice);
    expect(choice.getValue()).toBe('a');
    expect(await axe(choice.node)).toHaveNoViolations();
    choice.dispose();
  });

  it('has no value when nothing can be had', () => {
    expect(new ProfileChoice([offer('b', false)], 'a', trans).getValue()).toBe(
      ''
    );
  });
});
