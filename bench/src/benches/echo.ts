import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Side, warm } from '../interleave.ts';
import { ECHO } from '../peers/echo-server.ts';
import { startEcho } from '../peers/start-peers.ts';

/** Size of one message in bytes: about a ModelInfer request with 32 float32 columns. */
const MESSAGE_BYTES = 220;

/** Bare grpc-js on this machine: the baseline of the other figures. */
export async function echoBench({ rounds, seconds, profile, say }: BenchOptions): Promise<Figure[]> {
  await using echo = await startEcho(profile);
  const { load } = echo;
  const message = Buffer.alloc(MESSAGE_BYTES, 1);
  const sides: Side[] = [
    { name: 'unary', run: (s) => load.unary(ECHO.unary.path, message, 64, s) },
    { name: 'stream', run: (s) => load.stream(ECHO.stream.path, message, { streams: 4, window: 64 }, s) },
    { name: 'one', run: (s) => load.unary(ECHO.unary.path, message, 1, s) },
  ];
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const of = (name: string) => results.get(name) ?? [];
  return [
    figure(
      'echo_unary_per_s',
      of('unary').map((sample) => sample.perSecond),
    ),
    figure(
      'echo_stream_per_s',
      of('stream').map((sample) => sample.perSecond),
    ),
    figure(
      'echo_stream_over_unary',
      ratios(results, 'stream', 'unary', (sample) => sample.perSecond),
    ),
    figure(
      'echo_p50_ms',
      of('one').map((sample) => sample.p50Ms),
    ),
  ];
}
