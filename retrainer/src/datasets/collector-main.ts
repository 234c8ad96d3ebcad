import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@hotloop/platform/clock.ts';
import { createLog } from '@hotloop/platform/log.ts';
import { fromPostgresError, isPostgresAway, openPool } from '@hotloop/platform/postgres/pool.ts';
import { serveJob } from '../training/serve-job.ts';
import { collectDataset } from './collect-dataset.ts';
import { type CollectorDone, type CollectorRequest, REQUEST_FILE } from './collector-protocol.ts';

// The process that joins a dataset: one job, then the end. Started by `datasetCollector` only.

const QUERY_MS = 600_000;

await serveJob<never, CollectorDone>(async (directory) => {
  const path = join(directory, REQUEST_FILE);
  const { databaseUrl, ...request } = JSON.parse(await readFile(path, 'utf8')) as CollectorRequest;
  // It holds the database's password.
  await writeFile(path, '');
  const log = createLog({ service: 'dataset', level: 'warn' });
  await using pool = openPool(databaseUrl, {
    max: 2,
    queryTimeoutMs: QUERY_MS,
    connectTimeoutMs: 10_000,
    application: 'hotloop-dataset',
    log,
  });
  const begun = systemClock.monotonic();
  const { path: _path, ...collected } = await collectDataset(pool, request, directory).catch((error) => {
    // The run is then tried again.
    throw isPostgresAway(error) ? fromPostgresError(error) : error;
  });
  return {
    ...collected,
    seconds: (systemClock.monotonic() - begun) / 1000,
    peakMb: process.resourceUsage().maxRSS / 1024,
  };
});
