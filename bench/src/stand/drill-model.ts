import { setTimeout as delay } from 'node:timers/promises';
import { connect, type HotloopClient, type PredictInput } from '@hotloop/client';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';

export const DRILL_MODEL = 'drill';
/** With features of the request and of the history. */
export const DRILL_MANIFEST = `name: ${DRILL_MODEL}
features:
  - {name: price, from: request.price, missing: 0}
  - {name: views, from: history.user.view.count, window: 7d, missing: 0}
  - {name: spent, from: history.user.buy.sum(price), window: 30d, missing: 0}
`;
/** The same, but its predictions need no store. */
export const NO_HISTORY_MODEL = 'drill-no-history';
const NO_HISTORY_MANIFEST = `name: ${NO_HISTORY_MODEL}
features:
  - {name: price, from: request.price, missing: 0}
  - {name: views, from: request.views, missing: 0}
  - {name: spent, from: request.spent, missing: 0}
`;
/** Each run takes milliseconds and has one row. */
export const HEAVY_MODEL = 'heavy';
const HEAVY_MANIFEST = `name: ${HEAVY_MODEL}
features:
  - {name: price, from: request.price, missing: 0}
  - {name: views, from: history.user.view.count, window: 7d, missing: 0}
  - {name: spent, from: history.user.buy.sum(price), window: 30d, missing: 0}
runtime: {max_batch: 1}
`;
const MODELS: Readonly<
  Record<string, { readonly manifestYaml: string; readonly hidden: readonly number[] }>
> = {
  [DRILL_MODEL]: { manifestYaml: DRILL_MANIFEST, hidden: [8] },
  [NO_HISTORY_MODEL]: { manifestYaml: NO_HISTORY_MANIFEST, hidden: [8] },
  [HEAVY_MODEL]: { manifestYaml: HEAVY_MANIFEST, hidden: [2_000, 2_000] },
};
const ANSWERS_MS = 60_000;

export function drillInput(index: number): PredictInput {
  return { user: `u${index % 100}`, request: { price: index % 10 } };
}

export async function openDrillClient(
  address: string,
  retrainerAddress: string,
  timeoutMs = 5000,
): Promise<HotloopClient> {
  return connect({ address, retrainerAddress, timeoutMs });
}

/**
 * Registers a version with other weights for each seed, makes it live, and resolves when it answers; returns its
 * number.
 */
export async function makeLive(client: HotloopClient, seed: number, model = DRILL_MODEL): Promise<number> {
  const { manifestYaml = '', hidden = [] } = MODELS[model] ?? {};
  const onnx = initialModel({ features: 3, task: 'binary', hidden, seed });
  const { version } = await client.models.push({ manifestYaml, onnx }).finished();
  await client.models.promote(model, version.version).finished();
  const end = performance.now() + ANSWERS_MS;
  for (;;) {
    try {
      if ((await client.predict(model, drillInput(0))).version === version.version) return version.version;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await delay(50);
  }
}
