import { LabSession, SessionLimits } from '../../api';

/** A moment for all tests. */
export const NOW = Date.parse('2026-11-24T10:00:00Z');

export const SESSION: LabSession = {
  now: '2026-11-24T10:00:00Z',
  description: {
    under_platform: true,
    workload: 'w1',
    profile: 'gpu',
    profile_name: 'GPU',
    project: 'lhcb',
    project_name: 'LHCb FlashSim',
    image: 'python',
    image_name: 'Python',
    size: 'small',
    cores: 2,
    memory_gib: 4,
    accelerator: null,
    accelerator_count: null,
    emulated: false,
    started_at: null,
    ends_at: null,
    support: 'help@example.org'
  },
  limits: null,
  home: null,
  live: null,
  service_problem: ''
};

export const EMULATED: LabSession = {
  ...SESSION,
  description: {
    ...SESSION.description,
    accelerator: 'a100-1g',
    accelerator_count: 2,
    emulated: true
  }
};

export const LIMITS: SessionLimits = {
  workload: {
    id: 'w1',
    kind: 'session',
    job_class: null,
    name: 'gpu of alice',
    person: 'alice',
    server_name: '',
    project: 'lhcb',
    profile: 'gpu',
    size: 'small',
    image: 'python',
    accelerator: null,
    accelerator_count: 0,
    devices: [],
    emulated: false,
    cores: 2,
    memory_gib: 4,
    values_hash: null,
    phase: 'running',
    created_at: '2026-11-24T09:00:00Z',
    started_at: '2026-11-24T09:00:00Z',
    ends_at: '2026-11-24T10:10:00Z',
    ended_at: null,
    exit_code: null,
    reason: null,
    message: '',
    inferred: false
  },
  ends_at: '2026-11-24T10:10:00Z',
  idle_after_seconds: 7200,
  idle_since: null,
  activity: 'active',
  warning: null,
  warn_seconds: 900,
  extend_seconds: 14400,
  extensions_left: 1,
  extend_refusal: '',
  keep_until: null,
  keep_until_latest: '2026-11-24T10:10:00Z',
  announcements: [],
  next_report_seconds: 30
};

export const WARNED: LabSession = {
  ...SESSION,
  limits: {
    ...LIMITS,
    warning: {
      cause: 'max-age',
      ends_at: '2026-11-24T10:10:00Z',
      message: 'Variables in memory are lost then; extend it, or save.'
    }
  }
};

export const LIVE: LabSession = {
  ...SESSION,
  limits: LIMITS,
  live: {
    measured_at: '2026-11-24T10:00:00Z',
    cores_used: 1.5,
    memory_bytes: 3 * 2 ** 30,
    memory_method: 'private',
    processes: 4,
    running_kernels: 1,
    gpus: [
      {
        name: 'NVIDIA T4',
        busy_percent: 80,
        memory_used_bytes: 2 ** 30,
        memory_total_bytes: 16 * 2 ** 30
      }
    ]
  },
  home: {
    used_bytes: 19 * 2 ** 30,
    limit_bytes: 20 * 2 ** 30,
    enforced: false,
    method: 'measured',
    free_bytes: 2 ** 30,
    free_inodes: null,
    writable: true,
    problem: '',
    measured_at: '2026-11-24T10:00:00Z',
    at_least: false,
    note: ''
  }
};
