import type { ErrorCode } from '@hotloop/platform/errors.ts';
import type { JournalTable } from '@hotloop/platform/journal/journal.ts';
import type { CopyRow } from '@hotloop/platform/postgres/copy-row.ts';

/** One prediction as the log keeps it; see the table `prediction`. */
export interface PredictionRow {
  readonly predictionId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  readonly caller: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly string[];
  readonly rows: number;
  readonly columns: number;
  /** Null when the manifest's sampling leaves the tensors out. */
  readonly features: Uint8Array | null;
  readonly statuses: Uint8Array | null;
  /** The outputs' contents, end to end in the order of the specification. */
  readonly outputs: readonly Uint8Array[] | null;
  /** JSON: [{name, datatype, shape}], one for each output. */
  readonly outputSpec: string;
  readonly degraded: readonly string[];
  readonly queueUs: number;
  readonly runUs: number;
  readonly errorCode: ErrorCode | null;
  readonly errorMessage: string | null;
  readonly node: string;
}

/** The prediction log as a journal: an answer replaces the row of an earlier attempt that failed. */
export const PREDICTION_TABLE: JournalTable<PredictionRow> = {
  table: 'prediction',
  columns: [
    'prediction_id',
    'at',
    'model',
    'version',
    'variant',
    'caller',
    'entities',
    'candidates',
    'rows',
    'columns',
    'features',
    'statuses',
    'outputs',
    'output_spec',
    'degraded',
    'queue_us',
    'run_us',
    'error_code',
    'error_message',
    'node',
  ],
  provisional: 'error_code',
  encode(row, into) {
    into.uuid(row.predictionId);
    into.timestamp(row.at);
    into.text(row.model);
    into.int4(row.version);
    into.text(row.variant);
    into.text(row.caller);
    into.json(JSON.stringify(row.entities));
    into.textArray(row.candidates);
    into.int4(row.rows);
    into.int4(row.columns);
    optionalBytes(into, row.features);
    optionalBytes(into, row.statuses);
    if (row.outputs === null) into.nothing();
    else into.byteaOf(row.outputs);
    into.json(row.outputSpec);
    into.textArray(row.degraded);
    into.int4(row.queueUs);
    into.int4(row.runUs);
    optionalText(into, row.errorCode);
    optionalText(into, row.errorMessage);
    into.text(row.node);
  },
};

function optionalBytes(into: CopyRow, value: Uint8Array | null): void {
  if (value === null) into.nothing();
  else into.bytea(value);
}

function optionalText(into: CopyRow, value: string | null): void {
  if (value === null) into.nothing();
  else into.text(value);
}
