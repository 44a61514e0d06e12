/** Written by `make types` from the service's OpenAPI document and api/lab.py; not to be edited. */
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    /**
     * ActivityReport
     * @description What a session says about itself. It may only shorten its stay or bring a warning, never lengthen anything.
     */
    ActivityReport: {
      /**
       * Running Cells
       * @description Kernels that execute something now.
       */
      running_cells: number;
      /**
       * Cpu Cores
       * @description Mean cores used by the session's processes since the last report.
       */
      cpu_cores: number;
      /**
       * Network Bytes Per Second
       * @description Mean bytes received and sent by the session's processes since the last report; 0 when not known.
       */
      network_bytes_per_second: number;
      /**
       * Open Tabs
       * @description Browser tabs that follow the session's events; an open tab is no work.
       * @default 0
       */
      open_tabs: number;
    };
    /**
     * Announcement
     * @description What administrators say to everybody or to the users of one profile.
     */
    Announcement: {
      /** Id */
      id: number;
      /** Message */
      message: string;
      /**
       * Profile
       * @description Key of ``profiles``; None: to everybody.
       */
      profile: string | null;
      /** Author */
      author: string;
      /**
       * Created At
       * Format: date-time
       */
      created_at: string;
      /**
       * Until
       * @description When it disappears by itself; None: when it is taken back.
       */
      until: string | null;
    };
    /**
     * Announcements
     * @description Announcements in force, newest first.
     */
    Announcements: {
      /**
       * Announcements
       * @default []
       */
      announcements: components['schemas']['Announcement'][];
    };
    /**
     * Availability
     * @description A snapshot; whoever reads it compares ``taken_at`` with the clock.
     */
    Availability: {
      /**
       * Taken At
       * Format: date-time
       */
      taken_at: string;
      /**
       * Devices
       * @description By key of ``accelerators``.
       */
      devices: {
        [key: string]: components['schemas']['DeviceAvailability'];
      };
      /**
       * Sessions
       * @description Sessions running or starting.
       * @default 0
       */
      sessions: number;
      /**
       * Images
       * @description By key of ``images``: whether its environment is ready to start.
       * @default {}
       */
      images: {
        [key: string]: boolean;
      };
    };
    /**
     * DeviceAvailability
     * @description One accelerator of the catalogue, for somebody who is a member of no group; :meth:`seen_by` for others.
     */
    DeviceAvailability: {
      /**
       * Accelerator
       * @description Key of ``accelerators``.
       */
      accelerator: string;
      /**
       * Total
       * @description Devices on this installation; on a cluster those of nodes that take somebody, and those in use.
       */
      total: number;
      /**
       * Used
       * @description Held by running or starting workloads, or waited for.
       * @default 0
       */
      used: number;
      /**
       * Gives Way
       * @description How many of those used are held by batch that goes as soon as a session needs its place.
       * @default 0
       */
      gives_way: number;
      /**
       * Emulated
       * @description Whether the devices are emulated.
       * @default false
       */
      emulated: boolean;
      /**
       * Reason
       * @description Why there is none, in words: ``no NVIDIA GPU on this machine``; empty when ``total`` > 0.
       * @default
       */
      reason: string;
      /**
       * Next Free At
       * @description When one is free at the latest; None when one is free now or nothing is known.
       */
      next_free_at: string | null;
      /**
       * Reserved
       * @description What is kept for members of groups and is in none of the counts above.
       * @default []
       */
      reserved: components['schemas']['ReservedDevices'][];
    };
    /**
     * EndReason
     * @description Why a workload ended.
     * @enum {string}
     */
    EndReason:
      | 'finished'
      | 'failed'
      | 'stopped'
      | 'max-age'
      | 'idle'
      | 'administrator'
      | 'out-of-memory'
      | 'evicted'
      | 'platform-stopped'
      | 'lost'
      | 'not-started';
    /**
     * EndWarning
     * @description What a person must be told now: the session ends soon, and why.
     */
    EndWarning: {
      cause: components['schemas']['StopCause'];
      /**
       * Ends At
       * Format: date-time
       */
      ends_at: string;
      /**
       * Message
       * @description A sentence; it says that variables in memory are lost and what can be done.
       */
      message: string;
    };
    /**
     * Environment
     * @description The environment of one image.
     */
    Environment: {
      /**
       * Image
       * @description Key of ``images``.
       */
      image: string;
      /**
       * Name
       * @description Title of the image.
       */
      name: string;
      state: components['schemas']['EnvironmentState'];
      /**
       * Job
       * @description The job that builds it, while ``building``.
       */
      job: string | null;
      /** @description How far the job says it is. */
      progress: components['schemas']['Progress'] | null;
    };
    /**
     * EnvironmentState
     * @description Whether sessions of an image can start.
     * @enum {string}
     */
    EnvironmentState: 'ready' | 'building' | 'missing';
    /**
     * ErrorBody
     * @description The body of every answer with status >= 400.
     */
    ErrorBody: {
      error: components['schemas']['ErrorDetail'];
    };
    /**
     * ErrorDetail
     * @description What went wrong.
     */
    ErrorDetail: {
      /**
       * Reason
       * @description A short label for programs, such as ``nothing-free``.
       */
      reason: string;
      /**
       * Message
       * @description A sentence for people, with the remedy.
       */
      message: string;
      /**
       * Path
       * @description The field that is wrong, when one is.
       */
      path: string | null;
    };
    /**
     * Fact
     * @description One line of the outbox. Whoever takes it in twice must count it once: workload and kind say whether it was.
     */
    Fact: {
      /**
       * Number
       * @description Grows by one from fact to fact, over restarts too.
       */
      number: number;
      kind: components['schemas']['FactKind'];
      /**
       * At
       * Format: date-time
       */
      at: string;
      /** @description As the hub knew it then; None for a gap. */
      workload: components['schemas']['Workload'] | null;
      /**
       * Dropped
       * @description How many facts a gap stands for.
       * @default 0
       */
      dropped: number;
    };
    /**
     * FactKind
     * @description What happened.
     * @enum {string}
     */
    FactKind: 'opened' | 'closed' | 'gap';
    /**
     * Facts
     * @description A delivery: facts of the hub, in any order; those that were delivered before change nothing.
     */
    Facts: {
      /** Facts */
      facts: components['schemas']['Fact'][];
    };
    /**
     * FactsTaken
     * @description All of a delivery is written down.
     */
    FactsTaken: {
      /**
       * Number
       * @description The greatest number of the delivery.
       */
      number: number;
    };
    /**
     * FolderKind
     * @description Whose folder it is.
     * @enum {string}
     */
    FolderKind: 'home' | 'project' | 'public';
    /**
     * GpuUse
     * @description One graphics card of the session.
     */
    GpuUse: {
      /** Name */
      name: string;
      /**
       * Busy Percent
       * @description Share of the last moments in which it computed.
       * @default null
       */
      busy_percent: number | null;
      /**
       * Memory Used Bytes
       * @default null
       */
      memory_used_bytes: number | null;
      /**
       * Memory Total Bytes
       * @default null
       */
      memory_total_bytes: number | null;
    };
    /**
     * Health
     * @description Whether the service works, part by part.
     */
    Health: {
      /**
       * Status
       * @description ``ok`` or ``degraded``.
       */
      status: string;
      /** Version */
      version: string;
      /** Values Hash */
      values_hash: string;
      /**
       * Database
       * @description ``ok`` or what is wrong.
       */
      database: string;
      /**
       * Backend
       * @description ``ok`` or what is wrong.
       */
      backend: string;
      /**
       * Hub
       * @description ``ok`` or what is wrong.
       */
      hub: string;
    };
    /**
     * HeldValues
     * @description The values of one part of the platform.
     */
    HeldValues: {
      /**
       * Hash
       * @description Hash of the values that count.
       */
      hash: string;
      /**
       * Prepared
       * @description Hash of other values that it has read and could hold at once; empty for none.
       * @default
       */
      prepared: string;
    };
    /**
     * JobClass
     * @description ``platform``: small guaranteed quota, never evicted. ``batch``: opportunistic.
     * @enum {string}
     */
    JobClass: 'platform' | 'batch';
    /**
     * KeepUntil
     * @description A person asks that the session is not ended for being idle until then (at most to its longest life).
     */
    KeepUntil: {
      /**
       * Until
       * @description None takes the wish back.
       */
      until: string | null;
    };
    /**
     * LabSession
     * @description Everything that the session panel shows; also the body of the event that says that it changed.
     */
    LabSession: {
      description: components['schemas']['SessionDescription'];
      /**
       * Now
       * Format: date-time
       * @description The server's clock, for countdowns in browsers whose clock is wrong.
       */
      now: string;
      /**
       * @description As the service said last; None until it has answered once.
       * @default null
       */
      limits: components['schemas']['SessionLimits'] | null;
      /** @default null */
      home: components['schemas']['StorageUse'] | null;
      /**
       * @description None while nobody looks at the panel.
       * @default null
       */
      live: components['schemas']['LiveFigures'] | null;
      /**
       * Service Problem
       * @description A sentence when the platform service could not be asked; the rest is then what was known before.
       * @default
       */
      service_problem: string;
    };
    /**
     * LiveFigures
     * @description What the session's processes use now; None for what this machine does not tell.
     */
    LiveFigures: {
      /**
       * Measured At
       * Format: date-time
       */
      measured_at: string;
      /**
       * Cores Used
       * @description Mean cores since the measurement before.
       * @default null
       */
      cores_used: number | null;
      /**
       * Memory Bytes
       * @default null
       */
      memory_bytes: number | null;
      /** @default private */
      memory_method: components['schemas']['MemoryMethod'];
      /**
       * Processes
       * @default 0
       */
      processes: number;
      /**
       * Running Kernels
       * @description Kernels that execute something now.
       * @default 0
       */
      running_kernels: number;
      /**
       * Gpus
       * @description Empty when the session holds no real graphics card, or its driver does not answer.
       * @default []
       */
      gpus: components['schemas']['GpuUse'][];
    };
    /**
     * Me
     * @description The person or program behind a request.
     */
    Me: {
      /**
       * Name
       * @description Login name, or the name of a service of the hub.
       */
      name: string;
      /**
       * Kind
       * @description ``user`` or ``service``.
       * @default user
       */
      kind: string;
      /**
       * Groups
       * @default []
       */
      groups: string[];
      /**
       * Admin
       * @default false
       */
      admin: boolean;
      /**
       * Projects
       * @description Keys of ``projects`` of which the person is a member.
       * @default []
       */
      projects: string[];
      /**
       * Server Name
       * @description The session from which the request came, read from the token's scope; None for a browser or an own token.
       */
      server_name: string | null;
    };
    /**
     * MemoryMethod
     * @description How the memory in use was found out.
     * @enum {string}
     */
    MemoryMethod: 'cgroup' | 'private';
    /**
     * NewAnnouncement
     * @description What an administrator wants to say.
     */
    NewAnnouncement: {
      /** Message */
      message: string;
      /** Profile */
      profile: string | null;
      /** Until */
      until: string | null;
    };
    /**
     * Phase
     * @description Where a workload is in its life.
     * @enum {string}
     */
    Phase: 'starting' | 'running' | 'ended';
    /**
     * ProfileOffer
     * @description One profile of the person.
     */
    ProfileOffer: {
      /**
       * Key
       * @description Key of ``profiles``.
       */
      key: string;
      /** Name */
      name: string;
      /**
       * Description
       * @default
       */
      description: string;
      /** Image */
      image: string;
      /** Image Name */
      image_name: string;
      /**
       * Sizes
       * @description In words: ``small: 1 core, 2 GiB``; the first one is preselected.
       * @default []
       */
      sizes: string[];
      /**
       * Accelerators
       * @description In words: ``Quantum processor (EMULATED), 2 of 2 free``.
       * @default []
       */
      accelerators: string[];
      /** Max Seconds */
      max_seconds: number;
      /**
       * Available
       * @description Whether a session of it could be started now, in place of the asking session if there is one.
       */
      available: boolean;
      /**
       * Reason
       * @description Why not, with the remedy; empty when it could.
       * @default
       */
      reason: string;
    };
    /**
     * ProfileOffers
     * @description The profiles of whoever asks, in the order of the values file.
     */
    ProfileOffers: {
      /**
       * Taken At
       * Format: date-time
       */
      taken_at: string;
      /**
       * Profiles
       * @default []
       */
      profiles: components['schemas']['ProfileOffer'][];
    };
    /**
     * Progress
     * @description How far a job is; written by the job itself.
     */
    Progress: {
      /**
       * Step
       * @description What it does now: ``downloading qiskit 2.6.2``.
       */
      step: string;
      /**
       * Done
       * @description Units done (packages).
       * @default 0
       */
      done: number;
      /**
       * Total
       * @description Units in all; 0 when unknown.
       * @default 0
       */
      total: number;
      /**
       * Bytes Done
       * @default 0
       */
      bytes_done: number;
      /**
       * Bytes Total
       * @default 0
       */
      bytes_total: number;
      /**
       * Updated At
       * Format: date-time
       */
      updated_at: string;
    };
    /**
     * Proposal
     * @description Values that are to count next; they lie in the state folder.
     */
    Proposal: {
      /** Hash */
      hash: string;
    };
    /**
     * QuotaMethod
     * @description How a limit is kept.
     * @enum {string}
     */
    QuotaMethod: 'btrfs' | 'xfs' | 'measured';
    /**
     * ReservedDevices
     * @description Devices that only members of one of these groups can have, beside those that everybody can.
     */
    ReservedDevices: {
      /** Groups */
      groups: string[];
      /** Total */
      total: number;
      /**
       * Used
       * @default 0
       */
      used: number;
      /**
       * Gives Way
       * @default 0
       */
      gives_way: number;
      /** Next Free At */
      next_free_at: string | null;
    };
    /**
     * SessionDescription
     * @description What a person may read about their session, as the hub described it; nothing in it is secret.
     */
    SessionDescription: {
      /**
       * Under Platform
       * @description False where Jupyter was started by hand: then all the rest is None or False.
       */
      under_platform: boolean;
      /**
       * Workload
       * @description The session's identifier at the platform service.
       * @default null
       */
      workload: string | null;
      /**
       * Profile
       * @default null
       */
      profile: string | null;
      /**
       * Profile Name
       * @default null
       */
      profile_name: string | null;
      /**
       * Project
       * @default null
       */
      project: string | null;
      /**
       * Project Name
       * @default null
       */
      project_name: string | null;
      /**
       * Image
       * @default null
       */
      image: string | null;
      /**
       * Image Name
       * @default null
       */
      image_name: string | null;
      /**
       * Size
       * @default null
       */
      size: string | null;
      /**
       * Cores
       * @description Cores that the session may use.
       * @default null
       */
      cores: number | null;
      /**
       * Memory Gib
       * @description Memory that the session may use, in GiB.
       * @default null
       */
      memory_gib: number | null;
      /**
       * Accelerator
       * @default null
       */
      accelerator: string | null;
      /**
       * Accelerator Count
       * @default null
       */
      accelerator_count: number | null;
      /**
       * Emulated
       * @description True when no real device stands behind ``accelerator``.
       * @default false
       */
      emulated: boolean;
      /**
       * Started At
       * @description ISO 8601 with the offset, as the hub wrote it.
       * @default null
       */
      started_at: string | null;
      /**
       * Ends At
       * @description The latest end by the profile's longest life, without extensions; ISO 8601.
       * @default null
       */
      ends_at: string | null;
      /**
       * Support
       * @description Where people ask for help: an e-mail address or a link.
       * @default null
       */
      support: string | null;
    };
    /**
     * SessionLimits
     * @description How long one session may stay, as the platform decides it.
     */
    SessionLimits: {
      workload: components['schemas']['Workload'];
      /**
       * Ends At
       * @description When its longest life is over, extensions included.
       */
      ends_at: string | null;
      /**
       * Idle After Seconds
       * @description The profile's idle limit; None when it has none.
       */
      idle_after_seconds: number | null;
      /**
       * Idle Since
       * @description Since when nothing works in it; None when something does, or nothing is known.
       */
      idle_since: string | null;
      /**
       * Activity
       * @description ``active``, ``idle`` or ``unknown`` (nothing measured from outside for five minutes, and no report).
       * @default unknown
       */
      activity: string;
      /** @description What the person is to be told now; None when there is nothing. */
      warning: components['schemas']['EndWarning'] | null;
      /**
       * Warn Seconds
       * @description How long before an end the warning comes.
       * @default 0
       */
      warn_seconds: number;
      /**
       * Extend Seconds
       * @description By how much one extension lengthens the longest life; 0 when the profile allows none.
       * @default 0
       */
      extend_seconds: number;
      /**
       * Extensions Left
       * @default 0
       */
      extensions_left: number;
      /**
       * Extend Refusal
       * @description A sentence: why it cannot be extended now; empty when it can.
       * @default
       */
      extend_refusal: string;
      /**
       * Keep Until
       * @description Until when the person asked not to be ended for being idle.
       */
      keep_until: string | null;
      /**
       * Keep Until Latest
       * @description The latest moment that may be asked for; None when the profile allows none.
       */
      keep_until_latest: string | null;
      /**
       * Announcements
       * @description What administrators say to whoever uses this profile, newest first.
       * @default []
       */
      announcements: components['schemas']['Announcement'][];
      /**
       * Next Report Seconds
       * @description In how many seconds the session should report again.
       * @default 30
       */
      next_report_seconds: number;
    };
    /**
     * Sessions
     * @description The sessions that whoever asks may see, oldest first.
     */
    Sessions: {
      /**
       * Taken At
       * Format: date-time
       * @description When this was true.
       */
      taken_at: string;
      /**
       * Sessions
       * @default []
       */
      sessions: components['schemas']['Workload'][];
    };
    /**
     * Start
     * @description A session that one person waits for.
     */
    Start: {
      /** Id */
      id: string;
      /**
       * Image
       * @description Key of ``images``.
       */
      image: string;
      /** Image Name */
      image_name: string;
      /**
       * Server Name
       * @description Name of the session at the hub, "" for the default one.
       */
      server_name: string;
      state: components['schemas']['StartState'];
      /**
       * Message
       * @description A sentence: why it is where it is.
       * @default
       */
      message: string;
      /** @description How far the build says it is. */
      progress: components['schemas']['Progress'] | null;
      /**
       * Others
       * @description How many other people wait for the same build.
       * @default 0
       */
      others: number;
      /**
       * Created At
       * Format: date-time
       */
      created_at: string;
      /**
       * Elapsed Seconds
       * @description Since it was asked for, until now or until its end.
       * @default 0
       */
      elapsed_seconds: number;
      /**
       * Log
       * @description The last lines of the build, when it failed.
       * @default
       */
      log: string;
      /**
       * Url
       * @description Where the session is to be followed, from the root of the site.
       */
      url: string;
    };
    /**
     * StartState
     * @description Where a start that waits for an environment is.
     * @enum {string}
     */
    StartState:
      'waiting' | 'starting' | 'started' | 'failed' | 'cancelled' | 'expired';
    /**
     * StopCause
     * @description Why the platform would end a session.
     * @enum {string}
     */
    StopCause: 'max-age' | 'idle' | 'administrator';
    /**
     * StopRequest
     * @description An administrator ends a session: what the person reads, and how long before.
     */
    StopRequest: {
      /** Message */
      message: string;
      /**
       * Notice Seconds
       * @default 300
       */
      notice_seconds: number;
    };
    /**
     * StorageFolder
     * @description One folder of the platform and how full it is.
     */
    StorageFolder: {
      kind: components['schemas']['FolderKind'];
      /**
       * Key
       * @description Login name, key of the project, or ``public``.
       */
      key: string;
      /**
       * Name
       * @description For people: the login name, the project's title, ``Public``.
       */
      name: string;
      /**
       * Path
       * @description Where sessions have it: ``/home/alice``, ``/projects/flash-sim``, ``/public``.
       */
      path: string;
      /**
       * Read Only
       * @description Whether the caller may not write there.
       * @default false
       */
      read_only: boolean;
      /** @description None when the folder is not made yet (the first session makes it), and when it cannot be looked at. */
      use: components['schemas']['StorageUse'] | null;
      /**
       * Problem
       * @description A sentence when it cannot be looked at.
       * @default
       */
      problem: string;
    };
    /**
     * StorageReport
     * @description The folders of the caller; with ``all`` those of everybody.
     */
    StorageReport: {
      /** Folders */
      folders: components['schemas']['StorageFolder'][];
    };
    /**
     * StorageUse
     * @description One folder's use and limit.
     */
    StorageUse: {
      /**
       * Used Bytes
       * @description Bytes on the disk; None when not counted yet.
       */
      used_bytes: number | null;
      /**
       * At Least
       * @description Whether the count was cut short: the use is ``used_bytes`` or more.
       * @default false
       */
      at_least: boolean;
      /**
       * Limit Bytes
       * @description None: no limit but the disk.
       */
      limit_bytes: number | null;
      /**
       * Enforced
       * @description Whether the file system refuses what goes over the limit.
       */
      enforced: boolean;
      method: components['schemas']['QuotaMethod'];
      /**
       * Free Bytes
       * @description What can still be written: the smaller of quota and disk.
       */
      free_bytes: number | null;
      /**
       * Free Inodes
       * @description Files that can still be made, where the file system counts them.
       */
      free_inodes: number | null;
      /**
       * Writable
       * @default true
       */
      writable: boolean;
      /**
       * Problem
       * @description A sentence when nothing can be written: why, and the remedy.
       * @default
       */
      problem: string;
      /**
       * Note
       * @description For administrators: why the limit is not enforced, and the remedy.
       * @default
       */
      note: string;
      /**
       * Measured At
       * Format: date-time
       * @description The moment of the figures: of the count, when they were counted.
       */
      measured_at: string;
    };
    /**
     * Watching
     * @description A tab begins, goes on or ends to look at live figures.
     */
    Watching: {
      /** Tab */
      tab: string;
      /** Watching */
      watching: boolean;
    };
    /**
     * Workload
     * @description One session or job, as its backend knows it.
     */
    Workload: {
      /**
       * Id
       * @description Unique for ever.
       */
      id: string;
      kind: components['schemas']['WorkloadKind'];
      job_class: components['schemas']['JobClass'] | null;
      /**
       * Name
       * @description For people: ``gpu of alice``, ``environment quantum``.
       */
      name: string;
      /**
       * Person
       * @description Login name of the person it runs for; None for the platform itself.
       */
      person: string | null;
      /**
       * Server Name
       * @description Name of the hub's server, "" for the default one; None for jobs.
       */
      server_name: string | null;
      /** Project */
      project: string | null;
      /** Profile */
      profile: string | null;
      /** Size */
      size: string | null;
      /** Image */
      image: string | null;
      /** Accelerator */
      accelerator: string | null;
      /**
       * Accelerator Count
       * @default 0
       */
      accelerator_count: number;
      /**
       * Devices
       * @description Devices that it holds, such as ``rtx5000/0``.
       * @default []
       */
      devices: string[];
      /**
       * Emulated
       * @description Whether the devices are emulated.
       * @default false
       */
      emulated: boolean;
      /** Cores */
      cores: number;
      /** Memory Gib */
      memory_gib: number;
      /** Values Hash */
      values_hash: string | null;
      phase: components['schemas']['Phase'];
      /**
       * Created At
       * Format: date-time
       */
      created_at: string;
      /** Started At */
      started_at: string | null;
      /**
       * Ends At
       * @description When its longest life is over, at the latest.
       */
      ends_at: string | null;
      /** Ended At */
      ended_at: string | null;
      /**
       * Exit Code
       * @description Exit code; minus the signal's number when a signal ended it.
       */
      exit_code: number | null;
      reason: components['schemas']['EndReason'] | null;
      /**
       * Message
       * @description A sentence: why it ended.
       * @default
       */
      message: string;
      /**
       * Inferred
       * @description Whether the end was inferred and not observed.
       * @default false
       */
      inferred: boolean;
    };
    /**
     * WorkloadKind
     * @description A session has a screen; a job has none.
     * @enum {string}
     */
    WorkloadKind: 'session' | 'job';
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type ActivityReport = components['schemas']['ActivityReport'];
export type Announcement = components['schemas']['Announcement'];
export type Announcements = components['schemas']['Announcements'];
export type Availability = components['schemas']['Availability'];
export type DeviceAvailability = components['schemas']['DeviceAvailability'];
export type EndReason = components['schemas']['EndReason'];
export type EndWarning = components['schemas']['EndWarning'];
export type Environment = components['schemas']['Environment'];
export type EnvironmentState = components['schemas']['EnvironmentState'];
export type ErrorBody = components['schemas']['ErrorBody'];
export type ErrorDetail = components['schemas']['ErrorDetail'];
export type Fact = components['schemas']['Fact'];
export type FactKind = components['schemas']['FactKind'];
export type Facts = components['schemas']['Facts'];
export type FactsTaken = components['schemas']['FactsTaken'];
export type FolderKind = components['schemas']['FolderKind'];
export type GpuUse = components['schemas']['GpuUse'];
export type Health = components['schemas']['Health'];
export type HeldValues = components['schemas']['HeldValues'];
export type JobClass = components['schemas']['JobClass'];
export type KeepUntil = components['schemas']['KeepUntil'];
export type LabSession = components['schemas']['LabSession'];
export type LiveFigures = components['schemas']['LiveFigures'];
export type Me = components['schemas']['Me'];
export type MemoryMethod = components['schemas']['MemoryMethod'];
export type NewAnnouncement = components['schemas']['NewAnnouncement'];
export type Phase = components['schemas']['Phase'];
export type ProfileOffer = components['schemas']['ProfileOffer'];
export type ProfileOffers = components['schemas']['ProfileOffers'];
export type Progress = components['schemas']['Progress'];
export type Proposal = components['schemas']['Proposal'];
export type QuotaMethod = components['schemas']['QuotaMethod'];
export type ReservedDevices = components['schemas']['ReservedDevices'];
export type SessionDescription = components['schemas']['SessionDescription'];
export type SessionLimits = components['schemas']['SessionLimits'];
export type Sessions = components['schemas']['Sessions'];
export type Start = components['schemas']['Start'];
export type StartState = components['schemas']['StartState'];
export type StopCause = components['schemas']['StopCause'];
export type StopRequest = components['schemas']['StopRequest'];
export type StorageFolder = components['schemas']['StorageFolder'];
export type StorageReport = components['schemas']['StorageReport'];
export type StorageUse = components['schemas']['StorageUse'];
export type Watching = components['schemas']['Watching'];
export type Workload = components['schemas']['Workload'];
export type WorkloadKind = components['schemas']['WorkloadKind'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
