import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import {
  linearModel,
  logPredictions,
  manifestText,
  obedientNode,
  openStores,
  push,
  startTestRetrainer,
} from '@hotloop/retrainer/testing/fixture.ts';
import { expect, it } from 'vitest';
import { runCommandLine } from '../run-command-line.ts';

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

it('manages versions, rollouts and the ledger from the command line', async () => {
  await using stores = await openStores();
  for (const seed of [1, 2, 3]) await push(stores, manifestText('churn'), linearModel(seed));
  await using _node = obedientNode(stores.pool);
  await using metrics = openMetrics('retrainer');
  await using started = await startTestRetrainer(stores, {
    trainers: 0,
    http: { listen: '127.0.0.1:0', metrics },
  });
  const run = async (...args: string[]) => {
    const [out, err] = [new Captured(), new Captured()];
    const context = {
      terminal: { out, err },
      signal: new AbortController().signal,
      readFile: () => Promise.reject(new Error('no files here')),
      up: async () => 0,
    };
    const where = ['--control', `http://${started.retrainer.httpAddress}`];
    const code = await runCommandLine([...where, ...args], context);
    return { code, out: out.text, err: err.text };
  };

  expect((await run('promote', 'churn', '1', '--actor', 'ada')).out).toBe('version 1 of churn is live\n');
  expect((await run('promote', 'churn', '2')).out).toBe('version 2 of churn is live (was 1)\n');
  expect((await run('promote', 'churn', '2')).out).toBe('version 2 is live already\n');
  const refused = await run('promote', 'churm', '2');
  expect(refused).toMatchObject({ code: 3, err: expect.stringContaining('did you mean churn?') });
  expect((await run('which', 'churn')).out).toMatch(/^version 2 of churn, since .* \(promote by anonymous\)/);
  expect((await run('which', 'churn', '--at', '2020-01-01T00:00:00Z')).out).toContain(
    'no version of churn was live',
  );
  for (const words of [
    ['which', 'churm'],
    ['ledger', 'show', 'churm'],
  ])
    expect(await run(...words)).toMatchObject({
      code: 3,
      err: expect.stringContaining('did you mean churn?'),
    });
  expect(await run('promote', 'churn', '9')).toMatchObject({
    ...{ code: 3, err: expect.stringContaining('has no version 9; its newest is') },
  });

  const [id = ''] = await logPredictions(stores.pool, [
    { model: 'churn', version: 2, features: [1, -2] },
    { model: 'churn', version: 2, features: [0.5, 0.25] },
  ]);
  const why = await run('explain', id);
  expect(why.out).toMatch(
    /^churn version 2: score 0\.\d{4}, against 0\.\d{4} for the mean features of 1 recent rows/,
  );
  expect(why.out).toMatch(/sum [+-]0\.\d{4}, off by .*; by integrated gradients/);
  expect(await run('explain', id.replace(/^./, 'f'))).toMatchObject({ code: 3 });
  expect(await run('explain', 'nonsense')).toMatchObject({ code: 4 });

  const canary = await run(
    'promote',
    'churn',
    '3',
    '--mode',
    'canary',
    '--advance',
    'manual',
    '--reason',
    'trial',
  );
  expect(canary.out).toMatch(/^version 3 of churn: canary; .*\nfollow it with: hotloop rollout watch/);
  const held = await run('rollout', 'hold', 'churn', '--json');
  expect(JSON.parse(held.out)).toMatchObject({ state: 'held', sharePercent: 5 });
  expect(await run('rollout', 'abort', 'churn')).toMatchObject({ code: 2 });
  expect((await run('rollout', 'abort', 'churn', '--yes')).code).toBe(0);
  for (const line of (await run('rollout', 'show', 'churn')).out.split('\n'))
    expect(line.length).toBeLessThanOrEqual(100);
  expect((await run('rollback', 'churn')).out).toBe('version 1 of churn is live (was 2)\n');

  expect((await run('model', 'label', 'churn', '3', 'team=growth', '--note', 'tried')).code).toBe(0);
  expect((await run('model', 'archive', 'churn', '3')).out).toBe('version 3 of churn is archived\n');
  expect(await run('promote', 'churn', '3')).toMatchObject({
    code: 7,
    err: expect.stringContaining('archived'),
  });
  expect(await run('model', 'delete', 'churn', '1', '--yes')).toMatchObject({ code: 7 });
  expect((await run('model', 'delete', 'churn', '3', '--yes')).code).toBe(0);
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-pull-'));
  try {
    await run('model', 'pull', 'churn', '-o', folder);
    expect(new Uint8Array(await readFile(join(folder, 'model.onnx')))).toEqual(linearModel(1));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  expect((await run('model', 'card', 'churn')).out).toContain('# churn, version 1 (live)');

  const status = JSON.parse((await run('status', '--json')).out);
  expect(status).toMatchObject({
    models: [{ name: 'churn', liveVersion: 1, previousVersion: 2 }],
    unread: {},
  });
  for (const command of [['status'], ['ledger', 'show', 'churn'], ['rollout', 'list']])
    for (const line of (await run(...command)).out.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  expect((await run('ledger', 'verify')).out).toMatch(/^\d+ rows, none altered/);
  await stores.pool.query(
    "SET session_replication_role = replica; UPDATE ledger SET actor = 'somebody else' WHERE sequence = 4; RESET session_replication_role",
  );
  expect(await run('ledger', 'verify')).toMatchObject({ code: 7, err: expect.stringContaining('row 4') });
});
