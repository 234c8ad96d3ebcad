import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installStatements } from '@hotloop/cli/commands/sql-install.ts';
import { compileDecisionPlan } from '@hotloop/model/decision/decision-plan.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { connectSql } from '@hotloop/platform/postgres/sql-client.ts';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { isEnded } from '@hotloop/retrainer/batch/batch-run.ts';
import { readBatchRun } from '@hotloop/retrainer/batch/batch-store.ts';
import { startBatchWorker } from '@hotloop/retrainer/batch/batch-worker.ts';
import { openBatchQueue } from '@hotloop/retrainer/batch/queue/batch-queue.ts';
import { requestBatch } from '@hotloop/retrainer/batch/request-batch.ts';
import { openSql } from '@hotloop/retrainer/sql/open-sql.ts';
import { eventually, makeLive, openStores, push } from '@hotloop/retrainer/testing/fixture.ts';
import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';

const ROWS = 400;

/** The answers of the feature plan, the network and the decision, one request at a time, as the front door computes them. */
async function frontDoor(
  manifest: Parameters<typeof compileFeaturePlan>[0],
  onnx: Uint8Array,
  rows: readonly Record<string, never>[],
) {
  const plan = compileFeaturePlan(manifest);
  const decision = compileDecisionPlan(manifest);
  const session = await ort.InferenceSession.create(onnx);
  const nothing = Object.create(null) as Record<string, never>;
  const scores: number[] = [];
  for (const row of rows) {
    const request = Object.assign(Object.create(null) as Record<string, never>, row);
    const made = plan.run({ request, entities: nothing, candidates: [] }, [] as never, 0) as unknown as {
      features: Uint8Array;
      columns: number;
    };
    const input = new ort.Tensor('float32', new Float32Array(made.features.slice().buffer), [
      1,
      made.columns,
    ]);
    const output = Object.values(await session.run({ input }))[0]!;
    const contents = new Uint8Array((output.data as Float32Array).slice().buffer);
    const outputs = [{ name: 'y', datatype: 'FP32' as const, shape: output.dims, contents }];
    const rest = { predictionId: '', candidates: [], request, entities: nothing, excluded: [] };
    scores.push(decision.decide({ outputs, ...rest }).score);
  }
  await session.release();
  return scores;
}

it('gives the same answers through front door, batch, SQL and Postgres', async () => {
  await using stores = await openStores();
  await using redis = await createTestRedis('queue');
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-same-'));
  const log = stores.log;
  try {
    const manifestYaml = await readFile(new URL('../examples/shoppers/model.yaml', import.meta.url), 'utf8');
    const onnx = perceptron({
      inputs: 13,
      hidden: [8],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 5,
    });
    await makeLive(stores, 'purchase-intent', await push(stores, manifestYaml, onnx));
    const manifest = stores.registry.current().models.get('purchase-intent')!.versions.get(1)!.manifest;
    const rows = Array.from({ length: ROWS }, (_, row) =>
      Object.fromEntries(
        manifest.features.map(({ name, from }, at) => [
          from.slice('request.'.length),
          name === 'visitor'
            ? ['Returning_Visitor', 'New_Visitor', 'Other'][row % 3]
            : name === 'weekend'
              ? row % 2 === 0
              : Math.abs(Math.sin(row * 7.3 + at)) * (/rate|day/.test(name) ? 0.2 : 100),
        ]),
      ),
    ) as Record<string, never>[];
    const expected = await frontDoor(manifest, onnx, rows);
    const source = join(folder, 'rows.jsonl');
    await writeFile(source, rows.map((row) => JSON.stringify(row)).join('\n'));

    await using queue = await openBatchQueue({ url: redis.url, prefix: 'same', log });
    await using _worker = await startBatchWorker(
      queue,
      { ...stores, databases: () => undefined },
      {
        files: 'any',
        folder: join(folder, 'work'),
        memoryMb: 256,
        threads: 1,
        leaseMs: 10_000,
        maxAttempts: 2,
        sweepMs: 50,
        log,
      },
    );
    const { run } = await requestBatch(
      { ...stores, wake: (id) => void queue.call(id, 1) },
      {
        ...{ model: 'purchase-intent', version: 'live', source, sink: join(folder, 'scores.jsonl') },
        ...{ options: {}, key: '', schedule: null, caller: 'test' },
      },
      Date.now(),
    );
    await eventually(async () => isEnded((await readBatchRun(stores.pool, run.runId))?.state ?? 'planning'));
    const lines = (await readFile(join(folder, 'scores.jsonl'), 'utf8')).trim().split('\n');
    const batch = lines.map((line) => (JSON.parse(line) as { score: number }).score);

    await using sql = await openSql(
      {
        ...{ listen: '127.0.0.1:0', statementTimeoutMs: 20_000, memoryMb: 256 },
        ...{ databaseUrl: stores.databaseUrl, files: folder },
      },
      { ...stores, authenticator: createAuthenticator(undefined) },
    );
    await using client = await connectSql(`postgres://hotloop@${sql.address}/hotloop`);
    const [answer] = await client.query(`SELECT predict('purchase-intent', t) FROM '${source}' t`);
    const bySql = answer!.rows.map(([score]) => Number(score));

    // An unmodified Postgres calls the model through contrib dblink.
    await using postgres = await connectSql(stores.databaseUrl);
    await postgres.query(installStatements(sql.address, { key: undefined, maxRows: ROWS }));
    const literals = rows.map((row) => `'${JSON.stringify(row).replaceAll("'", "''")}'::jsonb`).join(', ');
    const [linked] = await postgres.query(
      `SELECT unnest(hotloop.predict('purchase-intent', ARRAY[${literals}]))`,
    );
    const byPostgres = linked!.rows.map(([score]) => Number(score));
    const [one] = await postgres.query(
      `SELECT hotloop.predict('purchase-intent', ${literals.split(/, (?=')/)[0]})`,
    );

    const tooMany = `SELECT hotloop.predict('purchase-intent', array_fill('{}'::jsonb, ARRAY[${ROWS + 1}]))`;
    await expect(postgres.query(tooMany)).rejects.toThrow(
      `takes at most ${ROWS} rows in one call, not ${ROWS + 1}`,
    );
    const [none] = await postgres.query(`SELECT hotloop.predict('purchase-intent', '{}'::jsonb[])`);
    expect(none!.rows[0]![0]).toBe('{}');

    for (const answers of [batch, bySql, byPostgres]) {
      expect(answers).toHaveLength(ROWS);
      expect(Math.max(...answers.map((score, row) => Math.abs(score - expected[row]!)))).toBeLessThanOrEqual(
        1e-6,
      );
    }
    expect(Number(one!.rows[0]![0])).toBe(byPostgres[0]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
