import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@hotloop/platform/clock.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { expect, it } from 'vitest';
import { checkpointKey } from '../improve/run-checkpoints.ts';
import { createRun } from '../runs/run-store.ts';
import { linearModel, manifestText, openStores } from '../testing/fixture.ts';
import { collectGarbage } from './collect-garbage.ts';
import { deleteVersion } from './manage-versions.ts';
import { takeLanded } from './watch-bundles.ts';

const OPTIONS = {
  limits: { maxOnnxBytes: 1 << 24 },
  promotion: { timeoutMs: 10_000, oldFailureMs: 100 },
};

it('registers bundles of a watched prefix, rolls them out as declared, and collects deleted ones', async () => {
  await using stores = await openStores();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-watched-'));
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  const watched = directoryObjectStore(folder);
  const dependencies = { ...stores, clock: systemClock };
  const seen = new Map<string, string>();
  const look = () => takeLanded(watched, seen, dependencies, OPTIONS);
  const land = async (name: string, yaml: string, seed: number) => {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, 'model.yaml'), yaml);
    await writeFile(join(folder, name, 'model.onnx'), linearModel(seed));
  };
  await land('team/first', manifestText('m', 'rollout: {mode: canary}\n'), 1);
  await land('second', manifestText('m', 'rollout: {promote: manual}\n'), 2);
  await land('broken', 'name: m\nfeatures: 3\n', 3);
  // The first pass only records sizes and times, because a file may still be being written.
  expect(await look()).toEqual([]);
  const receipts = await look();
  expect(receipts).toHaveLength(3);
  expect(receipts.find(({ error }) => error !== undefined)?.error).toMatch(/model\.yaml: features/);
  const first = receipts.find(({ rollout }) => rollout !== undefined);
  expect(receipts.filter(({ rollout }) => rollout !== undefined)).toHaveLength(1);
  expect(JSON.parse(await readFile(join(folder, 'team/first/hotloop.json'), 'utf8'))).toEqual(first);
  const { rows } = await stores.pool.query('SELECT version, actor, reason FROM rollout');
  expect(rows).toEqual([
    { version: first?.version, actor: 'watched prefix', reason: 'landed in team/first/' },
  ]);
  // Another retrainer, or this one after a restart, registers nothing twice.
  seen.clear();
  await look();
  expect(await look()).toEqual([]);

  const manual = receipts.find((one) => one.version !== undefined && one.rollout === undefined);
  const act = { actor: 'ada', reason: '', at: Date.now() };
  const keys = async () => {
    const found: string[] = [];
    for await (const { key } of stores.objects.list('')) found.push(key);
    return found;
  };
  const runId = randomUUID();
  await createRun(stores.pool, { runId, model: 'm', key: runId, reason: '', hold: true });
  const [ended, open] = [checkpointKey(randomUUID()), checkpointKey(runId)];
  for (const key of [ended, open]) await stores.objects.put(key, Buffer.from('checkpoint'));
  const before = await keys();
  await deleteVersion(stores.pool, 'm', manual?.version ?? 0, act);
  const collect = (now: number, isDryRun = false) =>
    collectGarbage(stores.pool, stores.objects, now, { minAgeMs: DAY_MS, isDryRun });
  expect(await collect(Date.now())).toMatchObject({ bundles: 0 });
  const planned = await collect(Date.now() + 2 * DAY_MS, true);
  expect(planned).toMatchObject({ bundles: 1, datasets: 0, checkpoints: 1 });
  expect(planned.keys).toContain(ended);
  expect(await keys()).toEqual(before);
  expect(await collect(Date.now() + 2 * DAY_MS)).toEqual(planned);
  expect(await keys()).toEqual(before.filter((key) => !planned.keys.includes(key)));
  expect(before.length - planned.keys.length).toBe(3);

  // The same bytes again make a new version, whose bundle is stored again.
  const file = join(folder, 'second', 'model.yaml');
  await utimes(file, new Date(), new Date(Date.now() + 10_000));
  await look();
  const [again] = await look();
  expect(again).toMatchObject({ model: 'm', version: 3 });
  await expect(stores.bundles.get(planned.keys[0]?.split('/')[0] ?? '')).resolves.toBeDefined();
});
