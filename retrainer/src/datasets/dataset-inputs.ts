import { type RowInput, rowInputs } from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** What a dataset says of the inputs of its model: nothing where its columns are one float32 matrix. */
export function datasetInputs(manifest: Manifest): { inputs?: readonly RowInput[] } {
  const columns = columnsOf(manifest);
  return columns.isMatrix ? {} : { inputs: rowInputs(columns, manifest.input) };
}
