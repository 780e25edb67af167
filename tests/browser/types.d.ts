// The API's types (crates/wire, version 1) as the page sees them, and the signals library's.
// Written by hand; a field that the hub drops or renames must be changed here too.

interface ReadonlySignal<T> {
  readonly value: T;
  peek(): T;
}

interface Signal<T> {
  value: T;
  peek(): T;
}

declare namespace Wire {
  /** RFC 3339, UTC. */
  type Timestamp = string;
  /** healthy, degraded, unhealthy, critical, unknown. */
  type Level = string;

  interface ResourceSummary {
    id: string;
    kind: string;
    display_name: string;
    parent: string | null;
    labels: Record<string, string>;
    level: Level;
    since: Timestamp;
    score: number | null;
    ready: boolean | null;
    finding_count: number;
    headline: string;
    last_check: Timestamp | null;
    stale: string | null;
  }

  interface Page<T> {
    items: T[];
    next_cursor: string | null;
  }

  interface ResourceDetail extends ResourceSummary {
    score_card: ScoreCard;
    readiness: Readiness | null;
    checks: Check[];
    incidents?: Incident[];
    readings: ReadingView[];
    inventory: InventoryView | null;
    processes: ProcessesView | null;
    probes: ProbeView[];
    children: string[];
    interval_seconds: number;
    active: boolean;
    breaker: BreakerView | null;
  }

  interface CheckRef {
    check: string;
    instance: string;
  }

  interface Incident {
    rule: string;
    title: string;
    since: Timestamp;
    advice: string;
    root: CheckRef;
    evidence: CheckRef[];
  }

  interface BreakerView {
    state: string;
    failures: number;
    since: Timestamp | null;
    probe_at: Timestamp | null;
    last_failure: string | null;
  }

  interface FleetView {
    system: SystemScore;
    levels: Record<string, number>;
    ready: number;
    total: number;
    breakers: { closed: number; half_open: number; open: number };
    doubt: string | null;
    labels: Record<string, Record<string, number>>;
    nodes: FleetNode[];
    next_cursor: string | null;
  }

  interface StragglersView {
    at: Timestamp | null;
    window_minutes: number;
    held_minutes: number;
    groups: StragglerGroup[];
    group_count: number;
    straggler_count: number;
    note: string | null;
  }

  interface StragglerGroup {
    job: string;
    known_by: "label" | "command";
    compares: "gpus" | "nodes";
    model: string | null;
    members: number;
    compared: number;
    nodes: number;
    since: Timestamp;
    outcome: "compared" | "too_few" | "too_new" | "mixed";
    note: string;
    uneven: string[];
    stragglers: StragglerView[];
    straggler_count: number;
  }

  interface StragglerView {
    resource: string;
    cause: string;
    message: string;
    advice: string;
    since: Timestamp;
    throttled_percent: number;
    departures: { metric: string; unit: string; value: number; median: number; low: number; high: number; peers: number; minutes: number; score: number }[];
  }

  interface FleetNode {
    id: string;
    display_name: string;
    level: Level;
    since: Timestamp;
    score: number | null;
    ready: boolean;
    finding_count: number;
    headline: string;
    last_check: Timestamp | null;
    stale: string | null;
    labels: Record<string, string>;
    parent: string | null;
    breaker: string | null;
    gpus: number;
    active: boolean;
  }

  interface NodeView {
    id: string;
    spec: { name: string; host: string | null; labels: Record<string, string>; parent: string | null } | null;
    origin: string;
    breaker: BreakerView | null;
  }

  interface ScoreCard {
    score: number | null;
    level: Level;
    uncapped: number;
    contributions: Contribution[];
    caps: Cap[];
    unknown_reason: string | null;
  }

  interface Contribution {
    component: string;
    nominal_weight: number;
    weight: number;
    points: number | null;
    contribution: number;
    note: string;
  }

  interface Cap {
    limit: number;
    check: string;
    instance: string;
    status: Level;
  }

  interface Readiness {
    ready: boolean;
    pass_rate_percent: number;
    required_percent: number;
    checks: ReadinessCheck[];
  }

  interface ReadinessCheck {
    check: string;
    outcome: "passed" | "failed" | "not_applicable";
    message: string;
  }

  interface Check {
    check: string;
    instance: string;
    component: string;
    status: Level;
    points: number;
    message: string;
    evidence: { what: string; value: string; threshold: string | null }[];
    advice: string | null;
    since: Timestamp;
    at: Timestamp;
    took_ms: number;
    hard: boolean;
  }

  interface ReadingView {
    metric: string;
    instance: string;
    value: number;
    unit: string;
  }

  interface InventoryView {
    hostname: string;
    os: string;
    kernel: string;
    architecture: string;
    cpu_model: string;
    cpu_count: number;
    memory_bytes: number;
    boot_id: string;
    virtualization: string;
    gpus: GpuView[];
    filesystems: { mount_point: string; kind: string; source: string; remote: boolean; read_only: boolean; unanswered: string | null }[];
    disks: { name: string; model: string; size_bytes: number; rotational: boolean }[];
    interfaces: { name: string; operational_state: string; physical: boolean; default_route: boolean }[];
  }

  interface GpuView {
    index: number;
    vendor: string;
    model: string;
    uuid: string;
    pci_address: string;
    driver_version: string;
    memory_bytes: number;
  }

  interface ProcessesView {
    top: ProcessView[];
    blocked: ProcessView[];
    zombies: ProcessView[];
    training: ProcessView[];
    missing_patterns: string[];
  }

  interface ProcessView {
    pid: number;
    name: string;
    command: string;
    state: string;
    cpu_percent: number;
    resident_bytes: number;
    gpus: number[];
    gpu_memory_bytes: number;
    matched: string | null;
  }

  interface ProbeView {
    probe: string;
    outcome: string;
    message: string | null;
    at: Timestamp;
    took_ms: number;
  }

  interface History {
    resource: string;
    metric: string;
    instance: string;
    unit: string;
    from: Timestamp;
    to: Timestamp;
    step_seconds: number;
    resolution: string;
    points: { at: Timestamp; min: number; mean: number; max: number; count: number }[];
  }

  interface EventView {
    id: number;
    at: Timestamp;
    kind: string;
    resource: string | null;
    message: string;
    details: Record<string, string>;
  }

  interface StatusReport {
    system: SystemScore;
    resources: ResourceSummary[];
    level_counts: Record<string, number>;
    hub: HubStatus;
  }

  interface SystemScore {
    score: number | null;
    level: Level;
    parts: { name: string; nominal_weight: number; weight: number; points: number | null; contribution: number; note: string }[];
  }

  interface HubStatus {
    version: string;
    pid: number;
    started_at: Timestamp;
    uptime_seconds: number;
    data_dir: string;
    config_file: string | null;
    config_error: string | null;
    ready: boolean;
    not_ready_reasons: string[];
    tasks: { name: string; state: string; restarts: number; last_error: string | null }[];
    store: { status: Level; message: string; file_bytes: number; queued: number; dropped: number; samples: number; history_bytes: number };
    schedule: { targets: number; started_total: number; skipped_total: number; lag_ms: number };
    cost: { cpu_seconds_total: number; cpu_percent: number; resident_bytes: number; children_resident_bytes: number; open_files: number };
  }
}
