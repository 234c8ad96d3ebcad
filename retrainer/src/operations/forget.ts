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

/** Where an entity leaves traces. The services' own erasers are wired in by the command: services do not import each other. */
export interface ForgetStores {
  readonly pool: Pool;
  readonly store: ObjectStore;
  readonly findPredictions: (entity: Entity) => Promise<string[]>;
  /** Of the other services, in the order in which they work. Whatever finds predictions again comes last. */
  readonly erasers: readonly Eraser[];
}

export interface Forgotten {
  /** How many rows, keys or events went, by what they are. */
  readonly erased: Readonly<Record<string, number>>;
  /** Files in which the entity's predictions were: they are removed, their description stays. */
  readonly datasets: readonly string[];
  /** What was trained on them, and still serves what it learned. */
  readonly versions: readonly { readonly model: string; readonly version: number }[];
  /** Results of batches that could not be reached. */
  readonly unreachable: readonly string[];
  /** Topics of models, which keep messages until their retention ends. */
  readonly topics: readonly string[];
}

/**
 * Erases an entity (such as user 42) wherever Hotloop keeps it, each module its own part, and writes a ledger row that says how much
 * went, without the id. Datasets that are collected later do not hold it, because they are made from the log. Versions that were
 * trained on it are listed: whether they are retrained is for a person to decide. May be repeated, also after it failed half-way. What
 * nodes have not shipped yet is not found: repeat it after a minute.
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
