import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { makeTestCertificates } from '@hotloop/platform/testing/test-certificates.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Side, warm } from '../interleave.ts';
import { rawLoad } from '../load/raw-load.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchPostgres } from '../stand/bench-postgres.ts';
import { startComputeService } from '../stand/compute-service.ts';
import { registerModel } from '../stand/register-model.ts';

const CALLERS = 64;
const START_MS = 120_000;
const QUERY_MS = 30_000;

/**
 * The cost of mutual TLS: ModelInfer through two computes as they are installed, one with TLS and client
 * certificates, one without. The same bytes and the same number of callers; connections stay open, so handshakes are
 * not included.
 */
export async function tlsBench({ rounds, seconds, say }: BenchOptions): Promise<Figure[]> {
  await using folder = await benchFolder();
  await using postgres = await startBenchPostgres(folder.path);
  const log = silentLog();
  await migrate(postgres.url, { log });
  await using pool = openPool(postgres.url, {
    max: 1,
    queryTimeoutMs: QUERY_MS,
    application: 'bench',
    log,
  });
  const model = benchPerceptron('small');
  await registerModel(pool, join(folder.path, 'store'), model);
  const files = await makeTestCertificates(folder.path);
  const signal = AbortSignal.timeout(START_MS);
  const start = (node: string, environment: Record<string, string>) =>
    startComputeService(
      { databaseUrl: postgres.url, folder: folder.path, data: join(folder.path, node), node, environment },
      signal,
    );
  await using plain = await start('plain', {});
  await using encrypted = await start('encrypted', {
    HOTLOOP_TLS_CERT: files.certificate,
    HOTLOOP_TLS_KEY: files.key,
    HOTLOOP_TLS_CA: files.ca,
  });
  const [ca, certificate, key] = await Promise.all([
    readFile(files.ca),
    readFile(files.certificate),
    readFile(files.key),
  ]);
  await using open = rawLoad(plain.address);
  await using secure = rawLoad(
    encrypted.address.replace('127.0.0.1', 'localhost'),
    credentials.createSsl(ca, key, certificate),
  );
  const bytes = oipRequest(model);
  const sides: Side[] = [
    { name: 'plain', run: (s) => open.unary(OIP.unary, bytes, CALLERS, s) },
    { name: 'mTLS', run: (s) => secure.unary(OIP.unary, bytes, CALLERS, s) },
  ];
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const of = (name: string) => (results.get(name) ?? []).map(({ perSecond }) => perSecond);
  return [
    figure(
      'tls_cost',
      ratios(results, 'mTLS', 'plain', ({ perSecond }) => perSecond),
      { atLeast: 0.85 },
    ),
    figure('tls_plain_per_s', of('plain')),
    figure('tls_mutual_per_s', of('mTLS')),
  ];
}
