import { expect, it } from 'vitest';
import { echoModel } from '../testing/echo-models.ts';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';
import { expireFields } from './expire-fields.ts';

const QUEUE = 4;
const ROW = [[1, 2, 3, 4]];

it('logs every queued request, whatever its result, and no request that was rejected before', async () => {
  await using test = await startTestCompute();
  const manifest = featureManifest('tiny', 4, `runtime: {queue: ${QUEUE}}\n`);
  const version = await storeVersion(test.store, 1, manifest);
  const broken = await storeVersion(test.store, 1, featureManifest('broken', 4), Buffer.from('no model'));
  for (const record of [version, broken]) test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  await test.until('tiny', 1, 'ready');
  await test.until('broken', 1, 'failed');
  const { port, fleet } = test.compute;
  const item = itemMaker();
  using client = openOipClient(test.compute.address);

  // Rejected before they are queued.
  await expect(port.infer(item('nobody', 1, ROW))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(port.infer(item('tiny', 9, ROW))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(port.infer(item('broken', 1, ROW))).rejects.toMatchObject({ reason: 'version_failed' });
  await expect(port.infer(item('tiny', 1, [[1, 2]]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(client.infer({ modelName: 'tiny', inputs: [] })).rejects.toThrow(/^INVALID_ARGUMENT/);
  await expect(client.infer({ modelName: 'nobody', inputs: [] })).rejects.toThrow(/^NOT_FOUND/);

  // Queued: while the runner is stopped, some run, some wait, and the rest find the queue full.
  const pid = fleet.find('tiny', 1)?.runnerPids[0] ?? 0;
  process.kill(pid, 'SIGSTOP');
  const late = port.infer(item('tiny', 1, ROW, { timeoutMs: 200 }));
  await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  const patient = { timeoutMs: 60_000 };
  const asked = Array.from({ length: 20 * QUEUE }, () => port.infer(item('tiny', 1, ROW, patient)));
  const settling = Promise.allSettled(asked);
  const refused = asked.map((one) => one.then(() => 'none').catch(({ reason }) => reason));
  expect(await Promise.race(refused)).toBe('queue_full');
  process.kill(pid, 'SIGCONT');
  const settled = await settling;
  const answered = settled.filter(({ status }) => status === 'fulfilled').length;
  expect(answered).toBeGreaterThan(0);
  expect(answered).toBeLessThan(asked.length);

  await test.compute.flushLog(20_000);
  const { rows } = await test.pool.query(
    'SELECT model, error_code, count(*)::int AS count FROM prediction GROUP BY 1, 2 ORDER BY 2 NULLS FIRST',
  );
  expect(rows).toEqual([
    { model: 'tiny', error_code: null, count: answered },
    { model: 'tiny', error_code: 'DEADLINE_EXCEEDED', count: 1 },
  ]);
  // The counters that the shipper maintains match the rows, repeated requests included.
  const counted = await test.pool.query(
    'SELECT model, sum(predictions)::int AS count FROM logged_count GROUP BY 1',
  );
  expect(counted.rows).toEqual([{ model: 'tiny', count: answered + 1 }]);

  // Fields with a retention of their own leave before their rows do, once, and the monitor does not take the rows for new.
  await test.pool.query(`UPDATE prediction SET entities = '{"user": "u", "shop": "s"}'`);
  const newest = async () =>
    (await test.pool.query<{ max: string }>('SELECT max(ingested) FROM prediction')).rows[0]?.max;
  const before = await newest();
  const expire = (keepMs: number) =>
    expireFields(
      test.pool,
      ['user', 'inputs'].map((field) => ({ model: 'tiny', field, keepMs })),
      Date.now() + 60_000,
    );
  expect(await expire(86_400_000)).toBe(0);
  const withInputs = await test.pool.query('SELECT FROM prediction WHERE features IS NOT NULL');
  expect(await expire(1_000)).toBe(answered + 1 + (withInputs.rowCount ?? 0));
  expect(await expire(1_000)).toBe(0);
  const kept = await test.pool.query(
    'SELECT DISTINCT entities, features, outputs IS NULL AS empty FROM prediction WHERE error_code IS NULL',
  );
  expect(kept.rows).toEqual([{ entities: { shop: 's' }, features: null, empty: false }]);
  expect(await newest()).toBe(before);
});

it('answers and logs rows of any width where features are hidden, and keeps only rows whose hidden positions are known', async () => {
  await using test = await startTestCompute();
  const manifest = featureManifest('wide', 4, 'log: {redact: [f3]}\n');
  const model = echoModel([{ name: 'x', elementType: 'float32', shape: ['N', 'M'] }]);
  test.registry.set(modelOf([await storeVersion(test.store, 1, manifest, model)], { live: 1 }));
  test.registry.publish();
  await test.until('wide', 1, 'ready');
  using client = openOipClient(test.compute.address);
  for (const columns of [2, 4, 5]) {
    const contents = Buffer.from(new Float32Array(columns).fill(7).buffer);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, columns] }];
    const reply = await client.infer({ modelName: 'wide', inputs, rawInputContents: [contents] });
    expect(reply.rawOutputContents).toEqual([contents]);
  }
  await test.compute.flushLog(20_000);
  const { rows } = await test.pool.query(
    'SELECT columns, features, error_code FROM prediction ORDER BY columns',
  );
  const hidden = Buffer.from(Float32Array.of(7, 7, 7, Number.NaN).buffer);
  expect(rows).toEqual([
    { columns: 2, features: null, error_code: null },
    { columns: 4, features: hidden, error_code: null },
    { columns: 5, features: null, error_code: null },
  ]);
});
