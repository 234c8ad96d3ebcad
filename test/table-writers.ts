const REGISTRY = 'retrainer/src/registry/';
const DATASETS = 'retrainer/src/datasets/';
const RUNS = 'retrainer/src/runs/';
const ROLLOUTS = 'retrainer/src/rollouts/';
const OUTCOMES = 'retrainer/src/outcomes/';
const MONITORING = 'retrainer/src/monitoring/';
const BATCH = 'retrainer/src/batch/';
const TABLES = 'preprocessor/src/tables/';
const AUTH = 'platform/src/auth/';
const JOURNAL = 'platform/src/journal/';
const POSTGRES = 'platform/src/postgres/';

/** The folders whose SQL writes a table: one, but for `model`, whose row begins in the registry and is moved on by rollouts. */
export const TABLE_WRITERS: Readonly<Record<string, readonly string[]>> = {
  api_key: [AUTH],
  batch_part: [BATCH],
  batch_run: [BATCH],
  batch_schedule: [BATCH],
  correction: [OUTCOMES],
  correction_upload: [OUTCOMES],
  dataset: [DATASETS],
  decision: ['postprocessor/src/'],
  event_shape: [POSTGRES],
  field_expiry: ['compute/src/prediction-log/'],
  incident: [MONITORING],
  incident_delivery: [MONITORING],
  journal_position: [JOURNAL],
  ledger: ['retrainer/src/ledger/'],
  logged_count: [JOURNAL],
  model: [REGISTRY, ROLLOUTS],
  model_version: [REGISTRY],
  monitor_baseline: [MONITORING],
  monitor_calls: [MONITORING],
  monitor_position: [MONITORING],
  monitor_quality: [MONITORING],
  monitor_sample: [MONITORING],
  monitor_silence: [MONITORING],
  monitor_sketch: [MONITORING],
  node: ['compute/src/nodes/'],
  node_version: ['compute/src/nodes/'],
  outcome: [OUTCOMES],
  outcome_source: [OUTCOMES],
  outcome_waiting: [OUTCOMES],
  prediction: ['compute/src/prediction-log/'],
  project: [AUTH],
  refused_call: [POSTGRES],
  reference_file: [TABLES],
  reference_row: [TABLES],
  reference_table: [TABLES],
  reference_version: [TABLES],
  rollout: [ROLLOUTS],
  rollout_event: [ROLLOUTS],
  run_metric: [RUNS],
  search: [RUNS],
  set_aside: [POSTGRES],
  shared_features: [REGISTRY],
  training_run: [RUNS],
};

const SERVICE = /^(?:platform|preprocessor|compute|postprocessor|retrainer|cli)\/src\//;
const WRITE = /\b(?:INSERT INTO|UPDATE|DELETE FROM|TRUNCATE|COPY)\s+(?:ONLY\s+)?"?([a-z_]+)"?/g;

/** Statements that write a table of another module. */
export function writerViolations({ path, text }: { readonly path: string; readonly text: string }): string[] {
  if (!SERVICE.test(path) || path.endsWith('.test.ts') || path.includes('/testing/')) return [];
  return [...text.matchAll(WRITE)].flatMap(([, table = '']) => {
    if (!Object.hasOwn(TABLE_WRITERS, table)) return [];
    const writers = TABLE_WRITERS[table] ?? [];
    if (writers.some((folder) => path.startsWith(folder))) return [];
    return [`${path} writes the table ${table}, which is written by ${writers.join(' and ')}`];
  });
}
