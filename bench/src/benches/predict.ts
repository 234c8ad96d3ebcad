import type { HotloopClient } from '@hotloop/client';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Sample, type Side, warm } from '../interleave.ts';
import { framedLoad } from '../load/framed-load.ts';
import { PREDICT_MODEL, predictInput, predictRequest } from '../models/bench-requests.ts';
import { PREDICT_STREAM, predictItem } from '../models/framed-items.ts';
import { ECHO } from '../peers/echo-server.ts';
import { startEcho } from '../peers/start-peers.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { type LocalStand, startLocalStand } from '../stand/local-stand.ts';

const STREAMS = { streams: 4, window: 64 };
const CALLERS = STREAMS.streams * STREAMS.window;

/**
 * Predictions per second through the services as `npm start` runs them, in four processes and in a single one, each
 * with its own Postgres, Redis and Kafka, compared with a bare stream echo with one request per message. In the
 * figures with goals the load sends prepared requests, at the same cost as for the echo; `_client` is the same
 * through the client library, which encodes and decodes each. All sides have the same number of requests in flight.
 */
export async function predictBench(options: BenchOptions): Promise<Figure[]> {
  const { rounds, seconds, profile, say } = options;
  await using folder = await benchFolder();
  await using echo = await startEcho(profile);
  say('starting the services in four processes');
  await using four = await startLocalStand(folder.path, false);
  say('starting the services in a single process');
  await using clubbed = await startLocalStand(folder.path, true);
  const item = predictItem(predictRequest());
  const framed = (stand: LocalStand) => (s: number) =>
    framedLoad(stand.load, PREDICT_STREAM, item, STREAMS, s);
  const sides: Side[] = [
    { name: 'echo', run: (s) => echo.load.stream(ECHO.stream.path, item.bytes, STREAMS, s) },
    { name: 'four', run: framed(four), settle: () => four.settle() },
    { name: 'clubbed', run: framed(clubbed), settle: () => clubbed.settle() },
    { name: 'four client', run: (s) => throughClient(four.client, s), settle: () => four.settle() },
    { name: 'clubbed client', run: (s) => throughClient(clubbed.client, s), settle: () => clubbed.settle() },
  ];
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const against = (name: string) => ratios(results, name, 'echo', rate);
  const of = (name: string) => (results.get(name) ?? []).map(rate);
  return [
    figure('predict_four', against('four'), { atLeast: 0.2 }),
    figure('predict_clubbed', against('clubbed'), { atLeast: 0.4 }),
    figure('predict_four_client', against('four client')),
    figure('predict_clubbed_client', against('clubbed client')),
    figure('predict_four_per_s', of('four')),
    figure('predict_clubbed_per_s', of('clubbed')),
    figure('predict_echo_per_s', of('echo')),
  ];
}

async function throughClient(client: HotloopClient, seconds: number): Promise<Sample> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let answered = 0;
  async function caller(first: number): Promise<void> {
    for (let index = first; performance.now() < end; index += CALLERS) {
      await client.predict(PREDICT_MODEL, predictInput(index));
      answered++;
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
  const elapsed = performance.now() - start;
  return { perSecond: (answered * 1000) / elapsed, p50Ms: Number.NaN, p99Ms: Number.NaN };
}

function rate(sample: Sample): number {
  return sample.perSecond;
}
