import { nullTranslator } from '@jupyterlab/translation';

import { homePage, spawnPage } from '../addresses';
import {
  bytes,
  duration,
  explanation,
  home,
  idle,
  label,
  nextMoment,
  resources,
  secondsLeft,
  warning
} from '../words';
import { EMULATED, LIMITS, LIVE, NOW, SESSION, WARNED } from './example';

const trans = nullTranslator.load('jupyterhub_aiinfn');

describe('the words', () => {
  it('name profile and project', () => {
    expect(label(SESSION, NOW, trans)).toBe('GPU · LHCb FlashSim');
  });

  it('leave out an absent project', () => {
    const description = { ...SESSION.description, project_name: null };
    expect(label({ ...SESSION, description }, NOW, trans)).toBe('GPU');
  });

  it('say EMULATED next to the accelerator', () => {
    expect(label(EMULATED, NOW, trans)).toContain('EMULATED');
    expect(explanation(EMULATED, trans)).toContain(
      '2 × a100-1g (EMULATED: no real device)'
    );
  });

  it('keep an end that is no date as it is', () => {
    const description = { ...SESSION.description, ends_at: 'soon' };
    const text = explanation({ ...SESSION, description }, trans);
    expect(text).toContain('Ends at the latest: soon');
  });

  it('say the time left in the last hour only', () => {
    const long = { ...LIMITS, ends_at: '2026-11-24T12:00:00Z' };
    expect(label({ ...SESSION, limits: long }, NOW, trans)).not.toContain(
      'left'
    );
    expect(label(WARNED, NOW, trans)).toContain('10 min left');
  });

  it.each([
    [0, '0 s'],
    [59, '59 s'],
    [119, '1 min 59 s'],
    [840, '14 min'],
    [3600, '1 h'],
    [3900, '1 h 05 min']
  ])('say %d seconds', (seconds, words) => {
    expect(duration(seconds, trans)).toBe(words);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [200 * 2 ** 30, '200 GiB'],
    [2 ** 60, '1048576 TiB']
  ])('say %d bytes', (count, words) => {
    expect(bytes(count)).toBe(words);
  });
});

describe('the end', () => {
  it('comes from the service, else from the start of the session', () => {
    expect(secondsLeft(WARNED, NOW)).toBe(600);
    const description = {
      ...SESSION.description,
      ends_at: '2026-11-24T10:01:00Z'
    };
    expect(secondsLeft({ ...SESSION, description }, NOW)).toBe(60);
    expect(secondsLeft(SESSION, NOW)).toBeNull();
  });

  it('is never in the past', () => {
    expect(secondsLeft(WARNED, NOW + 10 ** 7)).toBe(0);
  });

  it('is warned of with a countdown and the service’s sentence', () => {
    expect(warning(WARNED, NOW + 60_000, trans)).toBe(
      'Ends in 9 min. Variables in memory are lost then; extend it, or save.'
    );
    expect(warning(SESSION, NOW, trans)).toBeNull();
  });

  it('may be idleness', () => {
    const since = '2026-11-24T09:30:00Z';
    const limits = { ...LIMITS, idle_since: since };
    expect(idle({ ...SESSION, limits }, NOW, trans)).toBe(
      'Ends after 2 h idle; idle for 30 min.'
    );
    expect(idle({ ...SESSION, limits: LIMITS }, NOW, trans)).toContain(
      'in which nothing computes'
    );
    expect(idle(SESSION, NOW, trans)).toBeNull();
  });
});

describe('resources', () => {
  it('say what is used of what', () => {
    const [cores, memory, gpu] = resources(LIVE, trans);
    expect(cores).toEqual({ name: 'Cores', text: '1.5 of 2', share: 0.75 });
    expect(memory.text).toBe('3.0 GiB of 4.0 GiB');
    expect(gpu).toMatchObject({ name: 'NVIDIA T4', share: 1 / 16 });
    expect(gpu.note).toBe('Computing 80 % of the time');
  });

  it('say what is allowed before anything is measured', () => {
    const [cores] = resources(SESSION, trans);
    expect(cores.share).toBeNull();
    expect(cores.text).toBe('2 allowed, use not measured yet');
  });

  it('never show more than a full bar', () => {
    const live = { ...LIVE.live!, cores_used: 7 };
    expect(resources({ ...LIVE, live }, trans)[0].share).toBe(1);
  });

  it('say of a home that its limit is not enforced', () => {
    const found = home(LIVE.home!, trans);
    expect(found.text).toBe('19.0 GiB of 20.0 GiB');
    expect(found.note).toContain('Limit not enforced.');
  });

  it('say of a full home why nothing can be written', () => {
    const full = { ...LIVE.home!, enforced: true, problem: 'Quota reached.' };
    expect(home(full, trans).note).toMatch(/^Quota reached\./);
    expect(home({ ...LIVE.home!, at_least: true }, trans).text).toBe(
      'at least 19.0 GiB of 20.0 GiB'
    );
  });
});

describe('nextMoment', () => {
  it('is today or tomorrow', () => {
    const now = new Date(2026, 10, 24, 15, 0).valueOf();
    expect(nextMoment('16:30', now)?.getDate()).toBe(24);
    expect(nextMoment('14:30', now)?.getDate()).toBe(25);
    expect(nextMoment('15:00', now)?.getDate()).toBe(25);
  });

  it.each(['', '24:00', '12', 'noon', '12:60'])('refuses %p', text => {
    expect(nextMoment(text, NOW)).toBeNull();
  });
});

describe('the hub’s pages', () => {
  const place = {
    hub: '/hub/',
    user: 'alba@example',
    server: '',
    workspace: '/user/alba@example/lab/workspaces/a&b'
  };

  it('are prefilled by links that carry everything escaped', () => {
    expect(spawnPage(place, 'quantum')).toBe(
      '/hub/spawn/alba%40example?opt-profile=quantum&next=%2Fuser%2Falba%40example%2Flab%2Fworkspaces%2Fa%26b'
    );
    expect(spawnPage({ ...place, server: 'two words' }, 'x')).toContain(
      '/hub/spawn/alba%40example/two%20words?'
    );
    expect(homePage(place)).toBe('/hub/home');
  });
});
