import { type LoggedInputs, loggedRows, rowInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { LoggedFeatures } from './feature-rows.ts';

/** A logged prediction whose inputs may be a table of feature rows or several tensors. */
export type LoggedPrediction = LoggedInputs & Pick<LoggedFeatures, 'statuses'>;

/** Its served inputs as one table; null if the log does not contain them. Texts are given as indices into `texts`. Pure. */
export function flatFeatures(
  manifest: Manifest,
  { statuses, ...logged }: LoggedPrediction,
  texts: TextTable = new TextTable(),
): LoggedFeatures | null {
  const layout = columnsOf(manifest);
  if (layout.width === 0) return null;
  const flat = loggedRows(rowInputs(layout, manifest.input), logged, texts);
  return flat && { rows: logged.rows, columns: layout.width, features: Buffer.from(flat.buffer), statuses };
}
