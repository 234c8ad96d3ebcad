import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../../interleave.ts';
import { steadyLoad } from '../../load/steady-load.ts';
import { HEAVY_MODEL, makeLive } from '../../stand/drill-model.ts';
import type { Problems, Scene } from './failure-cell.ts';

const CALLERS = 32;
const ROUNDS = 5;
const PEAK_MS = 1_500;
const FLOOD_MS = 3_000;
/** Start of each flood, until the queue has its steady length. */
const SETTLE_MS = 1_000;
const TIMEOUT_MS = 1_000;
const RECONNECT_MS = 60_000;

type Client = Pick<Scene['client'], 'predict'>;
const input = (index: number) => ({ user: `u${index}`, request: { price: index % 10 } });

/**
 * A model whose runs take milliseconds, one row per run, with three times the load that it can answer. Peak and flood
 * alternate, because the speed of a shared machine varies from second to second; the median of the turns counts.
 */
export async function overload(scene: Scene): Promise<Problems> {
  // After a row that killed the retrainer, the client's channel to it may still wait before it connects again.
  await eventually(() => makeLive(scene.client, 2, HEAVY_MODEL));
  await peakPerSecond(scene.client);
  const ratios: number[] = [];
  const failures: string[] = [];
  let calm = 0;
  let refusedCalm = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = await peakPerSecond(scene.client);
    const flood = await goodput(scene.client, 3 * before.perSecond);
    failures.push(...flood.failures);
    const after = await peakPerSecond(scene.client);
    const peak = (before.perSecond + after.perSecond) / 2;
    calm += before.asked + after.asked;
    refusedCalm += before.refused + after.refused;
    ratios.push(flood.perSecond / peak);
    scene.say(
      `overload: ${Math.round(peak)} a second at most; of three times that ${Math.round(flood.perSecond)} a second answered`,
    );
  }
  const ratio = quantile(ratios, 0.5);
  const late = failures.filter((failure) => /DEADLINE|no answer within/.test(failure)).length;
  scene.say(`overload: ${failures.length} refused, ${late} of them late; the last: ${failures.at(-1)}`);
  return [
    ...(ratio < 0.9 ? [`goodput fell to ${ratio.toFixed(2)} of the peak`] : []),
    ...(refusedCalm > 0.05 * calm ? [`${refusedCalm} of ${calm} were refused without a flood`] : []),
    ...(failures.length === 0 ? ['nothing was refused'] : []),
    ...(late > failures.length / 2
      ? [`${late} of ${failures.length} were not refused but ran into their deadline`]
      : []),
  ];
}

async function eventually(done: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + RECONNECT_MS; ; await delay(500)) {
    try {
      await done();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
  }
}

/** Answers per second for callers that send the next request as soon as they are answered. */
async function peakPerSecond(
  client: Client,
): Promise<{ readonly perSecond: number; readonly asked: number; readonly refused: number }> {
  const begun = performance.now();
  let answers = 0;
  let refused = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      for (let index = caller; performance.now() < begun + PEAK_MS; index += CALLERS)
        await client.predict(HEAVY_MODEL, input(index)).then(
          () => answers++,
          () => refused++,
        );
    }),
  );
  const perSecond = answers / ((performance.now() - begun) / 1000);
  return { perSecond, asked: answers + refused, refused };
}

async function goodput(
  client: Client,
  perSecond: number,
): Promise<{ readonly perSecond: number; readonly failures: readonly string[] }> {
  const impatient: Client = {
    predict: (model, asked) => client.predict(model, asked, { timeoutMs: TIMEOUT_MS }),
  };
  const flood = steadyLoad({ client: impatient, model: HEAVY_MODEL, perSecond, input });
  const from = performance.now() + SETTLE_MS;
  await delay(FLOOD_MS);
  const until = performance.now();
  const asked = await flood.stop();
  const answered = asked.filter(({ answer, doneAt }) => answer && doneAt >= from && doneAt < until);
  return {
    perSecond: answered.length / ((until - from) / 1000),
    failures: asked.flatMap(({ failure }) => failure ?? []),
  };
}
