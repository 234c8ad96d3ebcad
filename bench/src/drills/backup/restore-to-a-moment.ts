import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listBases } from '@hotloop/deploy/archive/archive-layout.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { type Figure, figure } from '../../figure.ts';
import { DRILL_MANIFEST, DRILL_MODEL, drillOnnx } from './acknowledging-load.ts';
import { answersAgain, type BackupStand, command, startBackupStand, until } from './backup-stand.ts';

const OUTCOMES = 50;
/** Pause before and after the restored moment. */
const APART_MS = 1_500;

/**
 * `hotloop up --archive`, then an accident: outcomes are deleted and an unwanted version is pushed. Everything except
 * the archive is removed, and `hotloop restore --at` restores the moment before. `restore_at_lost`: outcomes,
 * versions and ledger rows of that moment that are missing; `restore_at_extra`: later ones that are present.
 */
export async function restoreToAMoment(folder: string, say: (line: string) => void): Promise<Figure[]> {
  const archive = join(folder, 'archive');
  const before = await untilAccident(join(folder, 'before'), archive);
  await rm(join(folder, 'before'), { recursive: true, force: true, maxRetries: 5 });
  say(`everything except the archive is deleted; restoring to ${before.moment}`);
  const after = join(folder, 'after');
  await using stand = await startBackupStand(after);
  const began = performance.now();
  await command(after, 'restore', archive, '--at', before.moment);
  const tookMs = performance.now() - began;
  const now = await keptIn(stand.pool);
  const { broken } = await verifyLedger(stand.pool);
  const missing = before.kept.filter((one) => !now.includes(one));
  // The restore adds a row about itself.
  const extra = now.filter((one) => !before.kept.includes(one)).length - 1;
  const answers = await answersAgain(stand.client);
  say(`back: ${missing.length} missing, ${extra} from after it`);
  return [
    figure('restore_at_lost', [missing.length + (broken === null ? 0 : 1) + (answers ? 0 : 1)], {
      atMost: 0,
    }),
    figure('restore_at_extra', [extra], { atMost: 0 }),
    figure('restore_at_ms', [tookMs]),
  ];
}

async function untilAccident(
  folder: string,
  archive: string,
): Promise<{ readonly moment: string; readonly kept: readonly string[] }> {
  await using stand = await startBackupStand(folder, { archive });
  const { client, pool } = stand;
  const push = (seed: number) =>
    client.models.push({ manifestYaml: DRILL_MANIFEST, onnx: drillOnnx(seed) }).finished();
  await client.models.promote(DRILL_MODEL, (await push(1)).version.version).finished();
  await answersAgain(client);
  await until(async () => ((await listBases(archive)).length > 0 ? true : undefined));
  await report(stand, 'before');
  const kept = await keptIn(pool);
  await delay(APART_MS);
  const { rows } = await pool.query<{ now: Date }>('SELECT now()');
  const moment = rows[0]?.now.toISOString() ?? '';
  await delay(APART_MS);
  await push(2);
  await report(stand, 'after');
  await pool.query(`DELETE FROM outcome WHERE id LIKE 'before-%'`);
  await archived(pool);
  return { moment, kept };
}

async function report({ client }: BackupStand, name: string): Promise<void> {
  for (let index = 0; index < OUTCOMES; index++) {
    const { predictionId } = await client.predict(DRILL_MODEL, {
      user: `visitor-${index}`,
      request: { pages: index % 9 },
    });
    await client.recordOutcomes([
      { id: `${name}-${index}`, model: DRILL_MODEL, predictionId, value: index % 4 === 0 },
    ]);
  }
}

/** Everything that is compared, each with its kind. */
async function keptIn(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ text: string }>(
    `SELECT 'outcome ' || id AS text FROM outcome UNION ALL SELECT 'version ' || version FROM model_version
     UNION ALL SELECT 'ledger ' || hash FROM ledger`,
  );
  return rows.map(({ text }) => text);
}

/** Resolves when the log up to now is in the archive. */
async function archived(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ file: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS file');
  const file = rows[0]?.file ?? '';
  await until(async () => {
    const { rows } = await pool.query<{ last: string | null }>(
      'SELECT last_archived_wal AS last FROM pg_stat_archiver',
    );
    return (rows[0]?.last ?? '') >= file ? true : undefined;
  });
}
