import { setTimeout as delay } from 'node:timers/promises';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool, type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { whichVersion } from '@hotloop/retrainer/ledger/which-version.ts';
import { promote } from '@hotloop/retrainer/rollouts/promote.ts';
import { flip, setTarget } from '@hotloop/retrainer/rollouts/promotion-store.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { startBenchPostgres } from '../../stand/bench-postgres.ts';
import type { Drill } from '../drill.ts';

const PROMOTERS = 32;
const ROUNDS = 100;
const CHANGES = 500;
const TIMES = 10_000;
const SEED = 13;
const MODEL = 'raced';
const STEP_MS = 60_000;
const BEGIN = Date.UTC(2026, 0, 1);

/**
 * The history of a model, in Postgres. `race_linear`: 32 concurrent promoters, 100 times; the share of rounds with
 * exactly one winner and one more row in a linear history. `which_right`: 500 changes at known times; the share of
 * 10,000 random times for which the ledger names the version that was live. `tamper_found`: every field of every row
 * is altered in turn, and every row deleted; the share that the check of the chain detects.
 */
export const drillLedger: Drill = async ({ say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using postgres = await startBenchPostgres(folder.path);
  const log = silentLog();
  await migrate(postgres.url, { log });
  await using pool = openPool(postgres.url, {
    ...{ max: PROMOTERS + 2, queryTimeoutMs: 60_000, application: 'drill', log },
  });
  await register(pool, 'timed', 8);
  const right = await which(pool);
  say(`${right} of ${TIMES} times named the right version`);
  const tampered = await tamper(pool);
  say(`${tampered.found} of ${tampered.tried} changes of the ledger were found`);
  await register(pool, MODEL, PROMOTERS);
  const linear = await race(pool, say);
  return [
    figure('race_linear', [linear], { atLeast: 1 }),
    figure('which_right', [right / TIMES], { atLeast: 1 }),
    figure('tamper_found', [tampered.found / tampered.tried], { atLeast: 1 }),
    figure('tamper_tried', [tampered.tried]),
  ];
};

/** A model whose versions one node has ready. */
async function register(pool: Pool, model: string, versions: number): Promise<void> {
  const manifest = { name: model, features: [{ name: 'x', from: 'request.x' }] };
  await pool.query('INSERT INTO model (name) VALUES ($1)', [model]);
  for (let version = 1; version <= versions; version++)
    await pool.query(
      'INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ($1, $2, $3, $3, $4)',
      [model, version, version.toString(16).padStart(64, '0'), manifest],
    );
}

async function race(pool: Pool, say: (line: string) => void): Promise<number> {
  await using _node = readyNode(pool);
  // A generation of 0 would skip the check of the expected generation.
  await setTarget(pool, MODEL, PROMOTERS, 0);
  await flip(pool, {
    ...{ model: MODEL, version: PROMOTERS, generation: 0, action: 'promote', actor: 'drill', at: Date.now() },
  });
  let linear = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = await stateOf(pool);
    const rows = await promotions(pool);
    const ends = await Promise.allSettled(
      Array.from({ length: PROMOTERS }, (_, index) =>
        promote(
          {
            model: MODEL,
            version: 1 + ((index + round) % PROMOTERS),
            expectedGeneration: before.generation,
            actor: `p${index}`,
          },
          { pool, clock: systemClock },
          { timeoutMs: 60_000, pollMs: 20, oldFailureMs: 0 },
          () => undefined,
          AbortSignal.timeout(60_000),
        ),
      ),
    );
    const after = await stateOf(pool);
    const winners = ends.filter(({ status }) => status === 'fulfilled').length;
    // A promoter whose version is already live is told so and does not compete.
    const joined = ends.filter(
      (end, index) => end.status === 'fulfilled' && before.live === 1 + ((index + round) % PROMOTERS),
    ).length;
    const refused = ends.every(
      (end) => end.status === 'fulfilled' || /came first|generation/.test(String(end.reason)),
    );
    const isLinear =
      winners - joined === 1 &&
      refused &&
      after.generation === before.generation + 1 &&
      after.previous === before.live &&
      (await promotions(pool)) === rows + 1;
    if (isLinear) linear++;
    else
      say(
        `round ${round}: ${winners} winners, generation ${before.generation} to ${after.generation}, ${
          ends
            .flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []))
            .find((text) => !/came first|generation/.test(text)) ?? ''
        }`,
      );
  }
  say(`${linear} of ${ROUNDS} rounds had one winner and a linear history`);
  return linear / ROUNDS;
}

/** Simulates a node that has everything ready, until it is disposed of. */
function readyNode(pool: Pool): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      await pool.query(
        "INSERT INTO node (node, seen_at) VALUES ('n', now()) ON CONFLICT (node) DO UPDATE SET seen_at = now()",
      );
      await pool.query(
        `INSERT INTO node_version (node, model, version, state) SELECT 'n', model, version, 'ready' FROM model_version
         ON CONFLICT (node, model, version) DO NOTHING`,
      );
      await delay(1_000, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function stateOf(pool: Pool) {
  const { rows } = await pool.query<{ live: number | null; previous: number | null; generation: number }>(
    'SELECT live_version AS live, previous_version AS previous, generation::int AS generation FROM model WHERE name = $1',
    [MODEL],
  );
  return rows[0] ?? { live: null, previous: null, generation: 0 };
}

async function promotions(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM ledger WHERE model = $1 AND action = 'promote'",
    [MODEL],
  );
  return rows[0]?.n ?? 0;
}

async function which(pool: Pool): Promise<number> {
  const random = new SeededRandom(SEED);
  const model = 'timed';
  const changes: { readonly at: number; readonly version: number }[] = [];
  let [at, live, previous, generation] = [BEGIN, 0, 0, 0];
  for (let change = 0; change < CHANGES; change++) {
    at += 1 + Math.floor(random.uniform() * 2 * STEP_MS);
    const isBack = previous !== 0 && random.uniform() < 0.3;
    const version = isBack ? previous : 1 + ((live + random.integer(7)) % 8);
    if (!isBack) await setTarget(pool, model, version, generation);
    const next = await flip(pool, {
      ...{ model, version, generation, action: isBack ? 'rollback' : 'promote', actor: 'drill', at },
    });
    if (next === null) throw new Error('the drill moved a model that something else moves');
    [previous, live, generation] = [live, version, next];
    changes.push({ at, version });
  }
  let right = 0;
  for (let time = 0; time < TIMES; time++) {
    const asked = BEGIN + Math.floor(random.uniform() * (at - BEGIN + STEP_MS));
    const truth = changes.findLast((change) => change.at <= asked)?.version ?? null;
    if (((await whichVersion(pool, model, asked))?.version ?? null) === truth) right++;
  }
  return right;
}

const ALTERED: Readonly<Record<string, string>> = {
  at: "at + interval '1 ms'",
  actor: "actor || '.'",
  action: "CASE WHEN action = 'promote' THEN 'rollback' ELSE 'promote' END",
  model: "model || '2'",
  version: 'coalesce(version, 0) + 1',
  detail: `detail || '{"altered": 1}'`,
  previous_hash: "translate(previous_hash, '0123456789abcdef', '123456789abcdef0')",
  hash: "translate(hash, '0123456789abcdef', '123456789abcdef0')",
};
/**
 * Each change in its own transaction, which is rolled back. A removed last row cannot be detected from the chain
 * alone; `head` detects it.
 */
async function tamper(pool: Pool): Promise<{ tried: number; found: number }> {
  const { head } = await verifyLedger(pool);
  const { rows } = await pool.query<{ last: number }>('SELECT max(sequence)::int AS last FROM ledger');
  const last = rows[0]?.last ?? 0;
  const changes = [
    ...Object.entries(ALTERED).map(([field, value]) => `UPDATE ledger SET ${field} = ${value}`),
    'DELETE FROM ledger',
  ];
  let [tried, found] = [0, 0];
  const undone = new Error('undone');
  for (let sequence = last; sequence >= 1; sequence--)
    for (const change of changes)
      await transaction(pool, async (client) => {
        // Bypasses the trigger that keeps the table append-only, as an intruder with all rights would.
        await client.query('SET LOCAL session_replication_role = replica');
        const { rowCount } = await client.query(`${change} WHERE sequence = $1`, [sequence]);
        if (rowCount === 1) tried++;
        const verdict = await verifyLedger(client);
        if (verdict.broken !== null || verdict.head !== head) found++;
        throw undone;
      }).catch((error: unknown) => {
        if (error !== undone) throw error;
      });
  return { tried, found };
}
