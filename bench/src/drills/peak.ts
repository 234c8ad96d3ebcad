import type { HotloopClient } from '@hotloop/client';
import { DRILL_MODEL, drillInput } from '../stand/drill-model.ts';

const CALLERS = 64;
const WARM_MS = 2_000;
const MEASURED_MS = 3_000;

/** Predictions per second for a few dozen callers that send the next request as soon as they are answered. */
export async function peakPerSecond(
  client: Pick<HotloopClient, 'predict'>,
  model = DRILL_MODEL,
): Promise<number> {
  const begun = performance.now();
  let answered = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      for (let index = caller; performance.now() - begun < WARM_MS + MEASURED_MS; index += CALLERS) {
        await client.predict(model, drillInput(index)).catch(() => undefined);
        if (performance.now() - begun > WARM_MS) answered++;
      }
    }),
  );
  return answered / (MEASURED_MS / 1000);
}
