import type { Readable } from 'node:stream';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { readRows, TABLE_TYPES } from './read-rows.ts';
import { tableName, tableSchema } from './table-schema.ts';
import type { TableStore } from './table-store.ts';
import { type UploadResult, uploadTable } from './upload-table.ts';

/** A file to upload into a table, from gRPC, HTTP or a watched object. */
export interface TableFile {
  readonly table: string;
  /** One of TABLE_TYPES. */
  readonly type: string;
  /** Maximum number of rejected rows. */
  readonly maxRefused: number;
  readonly file: Readable;
}

/** Declares a table. Throws INVALID_ARGUMENT with the path of the problem in the name or the schema. */
export async function declareTable(store: TableStore, table: string, schema: unknown): Promise<void> {
  const name = tableName.safeParse(table);
  const parsed = tableSchema.safeParse(schema);
  const issue = name.success ? parsed.error?.issues[0] : name.error.issues[0];
  if (!name.success || !parsed.success)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${issue?.path.map(String).join('.') || (name.success ? 'schema' : 'table')}: ${issue?.message}`,
    );
  if (Object.hasOwn(parsed.data.columns, parsed.data.key))
    throw new HotloopError('INVALID_ARGUMENT', `key: ${parsed.data.key} is also one of columns`);
  await store.declare(name.data, parsed.data);
}

/** Validates a file row by row and makes it the table's next version. Rejects as `uploadTable` does. */
export async function uploadFile(
  store: TableStore,
  { table, type, maxRefused, file }: TableFile,
): Promise<UploadResult> {
  const known = TABLE_TYPES.find((one) => type.startsWith(one));
  if (!known) throw new HotloopError('INVALID_ARGUMENT', `send content-type ${TABLE_TYPES.join(', ')}`);
  const schema = await store.schemaOf(table);
  const needed = Object.keys(schema.columns).filter((name) => !schema.columns[name]?.optional);
  const rows = readRows(file, known, [schema.key, ...needed]);
  return uploadTable(store, { name: table, schema, rows, asTexts: known === 'text/csv', maxRefused });
}
