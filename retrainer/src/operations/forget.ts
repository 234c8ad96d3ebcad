import {
  archivedTableEraser,
  eventEraser,
  othersWithEventsOf,
} from '@hotloop/platform/archive/erase-events.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Entity, Eraser, Traces } from '@hotloop/platform/ports/erasure.ts';
import { deadLetterEraser } from '@hotloop/platform/postgres/erase-dead-letters.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { topicsOfModels } from '@hotloop/platform/registry/reference-usage.ts';
import { eraseBatches } from '../batch/erase-batches.ts';
import { eraseDatasets } from '../datasets/erase-datasets.ts';
import { appendLedger } from '../ledger/ledger.ts';
import { correctionEraser } from '../outcomes/corrections/erase-corrections.ts';
import { outcomeEraser } from '../outcomes/erase-outcomes.ts';
import { versionsTrainedOn } from '../registry/version-store.ts';

/** Everything that may contain an entity's data. The command passes in the erasers of other services, because services do not import each other. */
export interface ForgetStores {
  readonly pool: Pool;
  readonly store: ObjectStore;
  readonly findPredictions: (entity: Entity) => Promise<string[]>;
  /** Erasers of the other services, in the order in which they run. The one that deletes predictions comes last, so that a repetition after a failure still finds them. */
  readonly erasers: readonly Eraser[];
}

export interface Forgotten {
  /** Number of erased rows, keys or events, by kind. */
  readonly erased: Readonly<Record<string, number>>;
  /** Datasets that contained the entity's predictions: their files are removed, their descriptions stay. */
  readonly datasets: readonly string[];
  /** Versions that were trained on these datasets. */
  readonly versions: readonly { readonly model: string; readonly version: number }[];
  /** Results of batches that could not be erased. */
  readonly unreachable: readonly string[];
  /** Topics of models; their messages stay until Kafka's retention ends. */
  readonly topics: readonly string[];
}

/**
 * Erases an entity (such as user 42) wherever Hotloop stores it, each module its own part, and writes a ledger row with the counts,
 * without the id. Later datasets do not contain it, because they are collected from the log. Versions that were trained on it
 * are listed, so that a person can decide whether to retrain. It may be repeated, also after a failure. Rows that nodes have not
 * shipped yet are not found: repeat it after a minute.
 */
export async function forgetEntity(
  stores: ForgetStores,
  who: { readonly entity: string; readonly id: string; readonly actor: string; readonly now: number },
): Promise<Forgotten> {
  const { pool, store } = stores;
  const entity: Entity = { kind: who.entity, id: who.id };
  const traces: Traces = {
    entity,
    predictions: await stores.findPredictions(entity),
    others: await othersWithEventsOf(store, entity),
  };
  const datasets = await eraseDatasets(pool, store, traces);
  const batches = await eraseBatches(pool, traces);
  const erased: Record<string, number> = { batchRows: batches.rows };
  const erasers = [
    correctionEraser(pool),
    outcomeEraser(pool),
    deadLetterEraser(pool),
    archivedTableEraser(store),
    ...stores.erasers,
    eventEraser(store),
  ];
  for (const eraser of erasers) erased[eraser.what] = await eraser.erase(traces);
  const versions = await versionsTrainedOn(pool, datasets);
  const topics = await topicsOfModels(pool);
  const forgotten = { erased, datasets, versions, unreachable: batches.unreachable, topics };
  await transaction(pool, (client) =>
    appendLedger(client, {
      at: who.now,
      actor: who.actor,
      action: 'forget',
      model: '',
      version: null,
      detail: { entity: who.entity, erased, datasets, versions },
    }),
  );
  return forgotten;
}
