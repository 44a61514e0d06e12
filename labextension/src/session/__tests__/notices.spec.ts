import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';

import { LabSession } from '../../api';
import { SessionModel } from '../model';
import { Notices } from '../notices';
import { LIMITS, NOW, SESSION, WARNED } from './example';

const trans = nullTranslator.load('jupyterhub_aiinfn');

function made(seen: number[] = []) {
  let clock = NOW;
  const model = new SessionModel(
    async () => SESSION,
    () => clock
  );
  const on = {
    extend: jest.fn(),
    open: jest.fn(),
    seen: () => seen,
    remember: jest.fn((ids: number[]) => void (seen = ids)),
    alert: jest.fn()
  };
  new Notices(model, trans, on);
  const at = (seconds: number, session: LabSession) => {
    clock = NOW + seconds * 1000;
    model.take({ ...session, now: new Date(clock).toISOString() });
  };
  return { model, on, at };
}

function messages(): string[] {
  return Notification.manager.notifications.map(one => one.message);
}

afterEach(() => Notification.dismiss());

describe('a warning', () => {
  it('is one notification whose countdown goes on', () => {
    const { on, at } = made();
    at(0, WARNED);
    at(60, WARNED);
    expect(messages()).toHaveLength(1);
    expect(messages()[0]).toContain('Ends in 9 min. Variables');
    expect(on.alert).toHaveBeenCalledTimes(1);
  });

  it('offers to extend where the policy allows it', () => {
    const { on, at } = made();
    at(0, WARNED);
    const { actions } = Notification.manager.notifications[0].options;
    const extend = actions?.find(one => one.label.startsWith('Extend'));
    extend?.callback(new MouseEvent('click'));
    expect(on.extend).toHaveBeenCalledTimes(1);
  });

  it('offers nothing that would be refused', () => {
    const { at } = made();
    const extend_refusal = 'it was extended as often as it may be';
    at(0, { ...WARNED, limits: { ...WARNED.limits!, extend_refusal } });
    const { actions } = Notification.manager.notifications[0].options;
    expect(actions?.map(one => one.label)).toEqual(['Session']);
  });

  it('says in the same place why it was refused', async () => {
    const { model, at } = made();
    at(0, WARNED);
    await model.ask(async () => {
      throw new Error('a course begins then');
    });
    expect(messages()[0]).toMatch(/^a course begins then/); // long ones are cut
    expect(messages()).toHaveLength(1);
  });

  it('goes when there is nothing to warn of any more', () => {
    const { at } = made();
    at(0, WARNED);
    at(1, { ...SESSION, limits: LIMITS });
    expect(messages()).toEqual([]);
  });

  it('that was closed does not come back for the same end', () => {
    const { at } = made();
    at(0, WARNED);
    Notification.dismiss();
    at(60, WARNED);
    expect(messages()).toEqual([]);
  });
});

describe('an announcement', () => {
  const announced = (...ids: number[]): LabSession => ({
    ...SESSION,
    limits: {
      ...LIMITS,
      announcements: ids.map(id => ({
        id,
        message: `message ${id}`,
        profile: null,
        author: 'admin',
        created_at: '2026-11-24T09:00:00Z',
        until: null
      }))
    }
  });

  it('is shown once, also by the tabs of tomorrow', () => {
    const { on, at } = made([1]);
    at(0, announced(2, 1));
    at(1, announced(2, 1));
    expect(messages()).toEqual(['admin says: message 2']);
    const { actions } = Notification.manager.notifications[0].options;
    expect(actions?.map(one => one.label)).toEqual(['Session']);
    actions?.[0].callback(new MouseEvent('click'));
    expect(on.open).toHaveBeenCalledTimes(1);
    expect(on.remember).toHaveBeenCalledTimes(1);
    expect(on.remember).toHaveBeenCalledWith([1, 2]);
  });
});
