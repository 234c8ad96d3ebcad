import { parentPort, workerData } from 'node:worker_threads';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { evaluateRows } from '../evaluate-rows.ts';
import type { QualityAnswer, QualityThreadData } from './quality-thread.ts';

const QUERY_TIMEOUT_MS = 60_000;

/** Answers one question; an error is returned as text. */
async function answer({ databaseUrl, question }: QualityThreadData): Promise<QualityAnswer> {
  await using pool = openPool(databaseUrl, {
    max: 1,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    application: 'quality',
    log: silentLog(),
  });
  try {
    return { signals: await evaluateRows(pool, question) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : 'it failed' };
  }
}

if (parentPort) parentPort.postMessage(await answer(workerData as QualityThreadData));
