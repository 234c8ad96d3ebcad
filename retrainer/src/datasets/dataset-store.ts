import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { CollectedDataset } from './collect-dataset.ts';

/** Keeps what a dataset was made of. The same rows have the same digest: once is enough. */
export async function storeDataset(
  client: Queryable,
  model: string,
  dataset: CollectedDataset,
): Promise<void> {
  await client.query(
    `INSERT INTO dataset (sha256, model, examples, "columns", positives, cut) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (sha256) DO NOTHING`,
    [dataset.sha256, model, dataset.examples, dataset.training.columns, dataset.positives, dataset.cut],
  );
}
