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

interface Readers {
  /** Path of a file, or beginning of paths. */
  readonly path: string;
  /** Absent: any table. */
  readonly tables?: readonly string[];
  readonly why: string;
}

/** Tables that one service writes so that the retrainer reads them: the log, decisions, what nodes say, counters. */
const LOG = [
  ...['prediction', 'decision', 'node', 'node_version', 'journal_position', 'logged_count', 'set_aside'],
  ...['reference_row', 'reference_version', 'reference_table'],
];

/** SELECTs on tables of other modules. Everywhere else a table is read through the store of its module. */
export const TABLE_READERS: readonly Readers[] = [
  { path: 'retrainer/src/', tables: LOG, why: 'other services write these tables for the retrainer' },
  { path: 'platform/src/registry/', why: 'the snapshot of models and rollouts that every service reads' },
  {
    path: 'platform/src/postgres/table-ages.ts',
    tables: ['reference_table', 'reference_version'],
    why: 'one query for both services that watch tables',
  },
  { path: 'retrainer/src/sql/loop-tables.ts', why: 'the views of the loop that SQL clients query' },
  {
    path: 'retrainer/src/operations/',
    why: 'doctor, support bundle and backup look at everything and change nothing',
  },
  { path: 'retrainer/src/trace/prediction-chain.ts', why: 'follows one prediction through every table' },
  {
    path: 'retrainer/src/control/console/',
    tables: ['outcome'],
    why: 'pages that show predictions beside their outcomes',
  },
  {
    path: 'retrainer/src/datasets/predictions/export-predictions.ts',
    tables: ['outcome'],
    why: 'the reports of the join view, in the query that reads the predictions',
  },
];

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

const READ = /\b(?:FROM|JOIN)\s+(?:ONLY\s+)?"?([a-z_]+)"?/g;
const COMMENT = /^\s*(?:\/\/|\/?\*)/;

/** Queries that read a table of another module without an entry in TABLE_READERS. */
export function readerViolations({ path, text }: { readonly path: string; readonly text: string }): string[] {
  if (!SERVICE.test(path) || path.endsWith('.test.ts') || path.includes('/testing/')) return [];
  const code = text
    .split('\n')
    .filter((line) => !COMMENT.test(line))
    .join('\n');
  return [...code.matchAll(READ)].flatMap(([, table = '']) => {
    if (!Object.hasOwn(TABLE_WRITERS, table)) return [];
    const owners = TABLE_WRITERS[table] ?? [];
    if (owners.some((folder) => path.startsWith(folder))) return [];
    const isKnown = TABLE_READERS.some(
      (reader) => path.startsWith(reader.path) && (reader.tables?.includes(table) ?? true),
    );
    return isKnown ? [] : [`${path} reads the table ${table}; ask the store of ${owners.join(' or ')}`];
  });
}
