import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { Signal } from '../signals/signal.ts';
import { judgeQuality } from './judge-quality.ts';
import { qualityMetric, qualityOverTime } from './quality.ts';
import { writeQuality } from './quality-store.ts';
import { readScoredRows } from './scored-rows.ts';

/** Plain data, so that it can be given to a thread. */
export interface QualityQuestion {
  readonly manifest: Manifest;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Works a version's quality out; rejects as the database does. */
export type EvaluateQuality = (question: QualityQuestion, signal: AbortSignal) => Promise<readonly Signal[]>;

const DAY_MS = 86_400_000;
const QUALITY_DAYS = 60;
/** The newest rows; more would not change the verdict, only its cost. */
const QUALITY_ROWS = 50_000;

/** Joins the newest predictions with their labels, keeps quality by day, and judges decay. Takes seconds of a processor. */
export async function evaluateQuality(
  pool: Pool,
  { manifest, version, now }: QualityQuestion,
): Promise<Signal[]> {
  const metric = qualityMetric(manifest.task);
  if (metric === null) return [];
  const scored = await readScoredRows(pool, manifest, now - QUALITY_DAYS * DAY_MS, now, QUALITY_ROWS);
  const rows = scored.rows.filter(({ score }) => Number.isFinite(score));
  const days = qualityOverTime(metric, rows, (at) => Math.floor(at / DAY_MS) * DAY_MS);
  await writeQuality(pool, manifest.name, days);
  const own = rows.filter((row) => row.version === version);
  return judgeQuality(metric, own, manifest.monitor, now);
}
