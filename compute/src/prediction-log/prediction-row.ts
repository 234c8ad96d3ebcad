import type { JournalTable } from '@hotloop/platform/journal/journal.ts';
import type { CopyRow } from '@hotloop/platform/postgres/copy-row.ts';
import { RepeatedFields } from '@hotloop/platform/postgres/repeated-fields.ts';
import type { ErrorCode } from '@hotloop/proto/errors.ts';

/** One prediction as the log keeps it; see the table `prediction`. */
export interface PredictionRow {
  readonly predictionId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  /** How likely it was that this version answered, from 0 (exclusive) to 1. */
  readonly propensity: number;
  readonly caller: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly string[];
  readonly rows: number;
  /** Columns of a table of feature rows; 0 for any other inputs. */
  readonly columns: number;
  /**
   * Feature rows, or the inputs' contents concatenated in the order of their specification. Null when the manifest
   * keeps them out of the log.
   */
  readonly features: Uint8Array | null;
  /**
   * JSON: [{name, datatype, shape}], one for each input that is not a table of feature rows. An input whose contents
   * the manifest keeps out of the log also has `hidden: true`.
   */
  readonly inputSpec: string;
  readonly statuses: Uint8Array | null;
  /** The outputs' contents, in the order of the specification. */
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

/** Who asked which version: the same for most consecutive rows. */
type Asked = Pick<PredictionRow, 'model' | 'version' | 'variant' | 'propensity' | 'caller'>;
/** Tensor specifications, outcome and node: the same for all callers. */
type Answered = Pick<
  PredictionRow,
  'rows' | 'columns' | 'inputSpec' | 'outputSpec' | 'errorCode' | 'errorMessage' | 'node'
>;

export const PREDICTION_TABLE = 'prediction';

/** The prediction log as a journal table. An answer replaces the row of an earlier attempt that failed. */
export function predictionTable(): JournalTable<PredictionRow> {
  const asked = new RepeatedFields<Asked>({
    fields: 5,
    isSame: (row, last) =>
      row.model === last.model &&
      row.version === last.version &&
      row.variant === last.variant &&
      row.propensity === last.propensity &&
      row.caller === last.caller,
    write(row, into) {
      into.text(row.model);
      into.int4(row.version);
      into.text(row.variant);
      into.float8(row.propensity);
      into.text(row.caller);
    },
    keep: ({ model, version, variant, propensity, caller }) => ({
      model,
      version,
      variant,
      propensity,
      caller,
    }),
  });
  const answered = new RepeatedFields<Answered>({
    fields: 7,
    isSame: isSameAnswered,
    write: writeAnswered,
    keep: keepAnswered,
  });
  /** The same fields preceded by empty entities, candidates and degraded features, as in a prediction from tensors. */
  const answeredPlainly = new RepeatedFields<Answered>({
    fields: 10,
    isSame: isSameAnswered,
    write(row, into) {
      into.json('{}');
      into.textArray([]);
      into.textArray([]);
      writeAnswered(row, into);
    },
    keep: keepAnswered,
  });
  return {
    table: PREDICTION_TABLE,
    columns: COLUMNS,
    provisional: 'error_code',
    encode(row, into) {
      into.uuid(row.predictionId);
      into.timestamp(row.at);
      into.int4(row.queueUs);
      into.int4(row.runUs);
      optionalBytes(into, row.features);
      optionalBytes(into, row.statuses);
      if (row.outputs === null) into.nothing();
      else into.byteaOf(row.outputs);
      asked.write(row, into);
      if (row.candidates.length === 0 && row.degraded.length === 0 && isEmpty(row.entities))
        answeredPlainly.write(row, into);
      else {
        into.json(JSON.stringify(row.entities));
        into.textArray(row.candidates);
        into.textArray(row.degraded);
        answered.write(row, into);
      }
    },
  };
}

/** Columns that seldom change are adjacent, so that they are copied in two pieces. */
const COLUMNS = [
  'prediction_id',
  'at',
  'queue_us',
  'run_us',
  'features',
  'statuses',
  'outputs',
  'model',
  'version',
  'variant',
  'propensity',
  'caller',
  'entities',
  'candidates',
  'degraded',
  'rows',
  'columns',
  'input_spec',
  'output_spec',
  'error_code',
  'error_message',
  'node',
] as const;

function isSameAnswered(row: Answered, last: Answered): boolean {
  return (
    row.rows === last.rows &&
    row.columns === last.columns &&
    row.inputSpec === last.inputSpec &&
    row.outputSpec === last.outputSpec &&
    row.errorCode === last.errorCode &&
    row.errorMessage === last.errorMessage &&
    row.node === last.node
  );
}

function writeAnswered(row: Answered, into: CopyRow): void {
  into.int4(row.rows);
  into.int4(row.columns);
  into.json(row.inputSpec);
  into.json(row.outputSpec);
  optionalText(into, row.errorCode);
  optionalText(into, row.errorMessage);
  into.text(row.node);
}

function keepAnswered(row: Answered): Answered {
  const { rows, columns, inputSpec, outputSpec, errorCode, errorMessage, node } = row;
  return { rows, columns, inputSpec, outputSpec, errorCode, errorMessage, node };
}

function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}

function optionalBytes(into: CopyRow, value: Uint8Array | null): void {
  if (value === null) into.nothing();
  else into.bytea(value);
}

function optionalText(into: CopyRow, value: string | null): void {
  if (value === null) into.nothing();
  else into.text(value);
}
