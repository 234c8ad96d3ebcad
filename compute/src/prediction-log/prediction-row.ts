import type { ErrorCode } from '@hotloop/platform/errors.ts';
import type { JournalTable } from '@hotloop/platform/journal/journal.ts';
import type { CopyRow } from '@hotloop/platform/postgres/copy-row.ts';
import { RepeatedFields } from '@hotloop/platform/postgres/repeated-fields.ts';

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
  /** Of a table of feature rows; 0 for any other inputs. */
  readonly columns: number;
  /** Feature rows, or the inputs' contents end to end in the order of their specification. Null when the manifest leaves them out. */
  readonly features: Uint8Array | null;
  /**
   * JSON: [{name, datatype, shape}], one for each input that is not a table of feature rows. One whose contents the manifest keeps
   * out of the log has `hidden: true` too.
   */
  readonly inputSpec: string;
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

/** Who was asked, and by whom: the same for most rows in a row. */
type Asked = Pick<PredictionRow, 'model' | 'version' | 'variant' | 'caller'>;
/** Of a prediction that names no entities and no candidates, such as one for tensors. */
type AskedPlainly = Asked & Pick<PredictionRow, 'rows' | 'columns'>;
/** What the tensors are, of a prediction that lacks nothing. */
type Specs = Pick<PredictionRow, 'inputSpec' | 'outputSpec'>;
/** How it ended and where. */
type Ended = Pick<PredictionRow, 'errorCode' | 'errorMessage' | 'node'>;

export const PREDICTION_TABLE = 'prediction';

/** The prediction log as a journal: an answer replaces the row of an earlier attempt that failed. */
export function predictionTable(): JournalTable<PredictionRow> {
  const asked = new RepeatedFields<Asked>({
    fields: 4,
    isSame: isSameAsked,
    write: writeAsked,
    keep: ({ model, version, variant, caller }) => ({ model, version, variant, caller }),
  });
  const askedPlainly = new RepeatedFields<AskedPlainly>({
    fields: 8,
    isSame: (row, last) => row.rows === last.rows && row.columns === last.columns && isSameAsked(row, last),
    write(row, into) {
      writeAsked(row, into);
      into.json('{}');
      into.textArray([]);
      into.int4(row.rows);
      into.int4(row.columns);
    },
    keep: ({ model, version, variant, caller, rows, columns }) => {
      return { model, version, variant, caller, rows, columns };
    },
  });
  const ended = new RepeatedFields<Ended>({
    fields: 3,
    isSame: (row, last) =>
      row.errorCode === last.errorCode && row.errorMessage === last.errorMessage && row.node === last.node,
    write(row, into) {
      optionalText(into, row.errorCode);
      optionalText(into, row.errorMessage);
      into.text(row.node);
    },
    keep: ({ errorCode, errorMessage, node }) => ({ errorCode, errorMessage, node }),
  });
  const specs = new RepeatedFields<Specs>({
    fields: 3,
    isSame: (row, last) => row.inputSpec === last.inputSpec && row.outputSpec === last.outputSpec,
    write(row, into) {
      into.json(row.inputSpec);
      into.json(row.outputSpec);
      into.textArray([]);
    },
    keep: ({ inputSpec, outputSpec }) => ({ inputSpec, outputSpec }),
  });
  return {
    table: PREDICTION_TABLE,
    columns: COLUMNS,
    provisional: 'error_code',
    encode(row, into) {
      into.uuid(row.predictionId);
      into.timestamp(row.at);
      if (row.candidates.length === 0 && isEmpty(row.entities)) askedPlainly.write(row, into);
      else {
        asked.write(row, into);
        into.json(JSON.stringify(row.entities));
        into.textArray(row.candidates);
        into.int4(row.rows);
        into.int4(row.columns);
      }
      optionalBytes(into, row.features);
      optionalBytes(into, row.statuses);
      if (row.outputs === null) into.nothing();
      else into.byteaOf(row.outputs);
      if (row.degraded.length === 0) specs.write(row, into);
      else {
        into.json(row.inputSpec);
        into.json(row.outputSpec);
        into.textArray(row.degraded);
      }
      into.int4(row.queueUs);
      into.int4(row.runUs);
      ended.write(row, into);
    },
  };
}

const COLUMNS = [
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
  'input_spec',
  'output_spec',
  'degraded',
  'queue_us',
  'run_us',
  'error_code',
  'error_message',
  'node',
] as const;

function isSameAsked(row: Asked, last: Asked): boolean {
  return (
    row.model === last.model &&
    row.version === last.version &&
    row.variant === last.variant &&
    row.caller === last.caller
  );
}

function writeAsked(row: Asked, into: CopyRow): void {
  into.text(row.model);
  into.int4(row.version);
  into.text(row.variant);
  into.text(row.caller);
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
