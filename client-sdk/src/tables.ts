import type { UploadTableReply__Output } from '@hotloop/proto/gen/hotloop/v1/UploadTableReply.ts';
import type { UploadTableRequest } from '@hotloop/proto/gen/hotloop/v1/UploadTableRequest.ts';
import type { CallContext, CallPatience } from './call-context.ts';
import { upload } from './upload.ts';

/** The schema that the rows of a reference table must match. */
export interface TableSchema {
  /** The column with the id of the entity. */
  readonly key: string;
  readonly columns: Readonly<
    Record<
      string,
      {
        readonly type: 'number' | 'text' | 'flag';
        readonly range?: readonly [number, number];
        readonly allowed?: readonly string[];
        readonly optional?: boolean;
      }
    >
  >;
}

export interface TableUpload {
  readonly type: 'text/csv' | 'application/x-ndjson' | 'application/vnd.apache.parquet';
  /** Maximum number of rejected rows; default 0. */
  readonly maxRefused?: number;
  /** Called with the number of bytes sent so far. */
  readonly onProgress?: (sentBytes: number) => void;
}

export interface UploadedTable {
  readonly table: string;
  readonly version: number;
  readonly rows: number;
  readonly refused: number;
  /** The first rejected rows, with their lines. */
  readonly refusedRows: readonly { readonly line: number; readonly problem: string }[];
}

const CHUNK_BYTES = 256 * 1024;
const UPLOAD_TIMEOUT_MS = 600_000;

/** Reference tables: rows by the id of an entity, which features read as `reference.TABLE.FIELD`. */
export class Tables {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /**
   * Declares a table, or changes its schema for future uploads. Throws INVALID_ARGUMENT with the path of the problem.
   */
  async declare(table: string, schema: TableSchema, patience?: CallPatience): Promise<void> {
    const { stubs, options } = this.#context;
    await this.#context.repeatable(
      (metadata, callOptions, done) =>
        stubs.intake.DeclareTable({ table, schemaJson: JSON.stringify(schema) }, metadata, callOptions, done),
      patience,
      options.address,
    );
  }

  /**
   * Uploads a file as the table's next version: every row is validated, then the version is switched atomically.
   * Throws INVALID_ARGUMENT with the lines when more than `maxRefused` rows are rejected; the table is then
   * unchanged.
   */
  async upload(
    table: string,
    file: Uint8Array | AsyncIterable<Uint8Array>,
    { type, maxRefused = 0, onProgress }: TableUpload,
    patience: CallPatience = {},
  ): Promise<UploadedTable> {
    const { intake } = this.#context.stubs;
    const reply = await upload<UploadTableRequest, UploadTableReply__Output>(
      this.#context,
      (metadata, options, done) => intake.UploadTable(metadata, options, done),
      messagesOf({ table, contentType: type, maxRefused }, file, onProgress),
      { timeoutMs: UPLOAD_TIMEOUT_MS, ...patience },
    );
    return reply;
  }
}

async function* messagesOf(
  header: NonNullable<UploadTableRequest['header']>,
  file: Uint8Array | AsyncIterable<Uint8Array>,
  onProgress?: (sentBytes: number) => void,
): AsyncGenerator<UploadTableRequest> {
  yield { header };
  let sent = 0;
  for await (const bytes of file instanceof Uint8Array ? [file] : file)
    for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
      const chunk = Buffer.from(bytes.subarray(from, from + CHUNK_BYTES));
      yield { chunk };
      sent += chunk.length;
      onProgress?.(sent);
    }
}
