import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';

export const DRILL_MODEL = 'visits';

export const DRILL_MANIFEST = `name: ${DRILL_MODEL}
task: binary
features:
  - {name: pages, from: request.pages, missing: 0}
  - {name: views, from: history.user.view.count, window: 7d}
  - {name: age, from: reference.people.age, by: user, missing: 0}
outcome: {from: sdk, join: [user]}
`;

export function drillOnnx(seed: number): Uint8Array {
  return perceptron({ inputs: 3, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed });
}

/**
 * Something that Hotloop acknowledged as stored, and when the caller got the acknowledgement (milliseconds since
 * 1970).
 */
export interface Acknowledged {
  readonly id: string;
  readonly at: number;
}

export interface AcknowledgedAll {
  readonly outcomes: readonly Acknowledged[];
  /** Numbers of versions. */
  readonly versions: readonly Acknowledged[];
}

const PAUSE_MS = 20;
const PUSH_EVERY = 100;

/**
 * Sends predictions, reports an outcome for each answer, and pushes a version from time to time, until it is stopped.
 */
export async function acknowledgingLoad(
  client: HotloopClient,
  signal: AbortSignal,
): Promise<AcknowledgedAll> {
  const outcomes: Acknowledged[] = [];
  const versions: Acknowledged[] = [];
  for (let index = 0; !signal.aborted; index++) {
    const user = `visitor-${index % 50}`;
    const { predictionId } = await client.predict(DRILL_MODEL, { user, request: { pages: index % 9 } });
    const [result] = await client.recordOutcomes([
      { id: `outcome-${index}`, model: DRILL_MODEL, predictionId, value: index % 3 === 0 },
    ]);
    if (result?.status === 'accepted') outcomes.push({ id: result.id, at: Date.now() });
    if (index % PUSH_EVERY === PUSH_EVERY - 1) {
      const pushed = await client.models
        .push({ manifestYaml: DRILL_MANIFEST, onnx: drillOnnx(index + 2) })
        .finished();
      versions.push({ id: String(pushed.version.version), at: Date.now() });
    }
    await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  return { outcomes, versions };
}
