import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { toldExamples } from '../outcomes/corrections/correction-store.ts';
import { exampleReader } from './labelled-rows.ts';
import type { RowSpool } from './row-spool.ts';
import { isFrozenKey } from './split-rows.ts';
import { missingNote, rowUse } from './usable-rows.ts';

/**
 * Appends the examples that analysts told by their features: before the log, so that they are learnt from and do not fill the holdout,
 * and never in the frozen one. Returns what could not be used and why.
 */
export async function appendTold(
  database: Queryable,
  manifest: Manifest,
  spool: RowSpool,
): Promise<string[]> {
  const told = await toldExamples(database, manifest.name);
  if (told.length === 0) return [];
  const read = exampleReader(manifest, spool.texts);
  const { data } = trainingSpec(manifest);
  const useOf = rowUse(manifest);
  let unusable = 0;
  let missing = 0;
  for (const { id, features, label, by, at } of told) {
    const key = `correction ${id}`;
    if (isFrozenKey(key, data)) continue;
    try {
      const row = { predictionId: key, row: 0, at, label, weight: 1, version: 0, key };
      const vector = read(features);
      if (useOf(vector) === 'usable') await spool.append({ ...row, source: `analyst:${by}` }, vector);
      else missing++;
    } catch (error) {
      if (!(error instanceof HotloopError)) throw error;
      unusable++;
    }
  }
  const changed =
    unusable === 0
      ? []
      : [`${unusable} corrections by features cannot be used: the features have changed since`];
  return [...changed, ...missingNote(missing, ' of corrections by features')];
}
