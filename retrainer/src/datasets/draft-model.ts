import { type InferredManifest, inferManifest } from '@hotloop/model/manifest/infer-manifest.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { readTable } from './read-table.ts';

/** Rows that a draft looks at. */
const MOST_ROWS = 20_000;

/**
 * Drafts a model.yaml from the first rows of a file.
 *
 * @param label the column to predict; undefined: one with a usual name of a label, otherwise the last.
 * @throws INVALID_ARGUMENT for a file that cannot be read or learnt from, with what is missing.
 */
export async function draftModel(
  name: string,
  path: string,
  label: string | undefined,
): Promise<InferredManifest> {
  let columns: readonly string[] = [];
  const rows: string[][] = [];
  for await (const { cells } of readTable(path)) {
    if (rows.length === 0) columns = Object.keys(cells);
    rows.push(columns.map((column) => String(cells[column] ?? '')));
    if (rows.length === MOST_ROWS) break;
  }
  try {
    return inferManifest(name, { columns, rows }, label);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new HotloopError('INVALID_ARGUMENT', error.message, { reason: 'cannot_draft', cause: error });
  }
}
