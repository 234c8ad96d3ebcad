import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import {
  linearModel,
  manifestText,
  obedientNode,
  openStores,
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

it('says what a folder of models would change, does it, and then finds nothing to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-plan-'));
  try {
    await using stores = await openStores();
    await using _node = obedientNode(stores.pool);
    await using metrics = openMetrics('retrainer');
    const http = { listen: '127.0.0.1:0', metrics };
    await using started = await startTestRetrainer(stores, { trainers: 0, http });
    const { address, httpAddress } = started.retrainer;
    const run = async (...args: string[]) => {
      const [out, err] = [new Captured(), new Captured()];
      let failed = 0;
      const context = {
        terminal: { out, err },
        signal: new AbortController().signal,
        readFile: (path: string) => readFile(path),
        up: async () => 0,
        fail: (code: number) => {
          failed = code;
        },
      };
      const where = ['--control', `http://${httpAddress}`, '--retrainer', address, '--json'];
      const code = await runCommandLine([...where, ...args], context);
      const models = out.text === '' ? [] : (JSON.parse(out.text) as { models: object[] }).models;
      return { code: code || failed, models, err: err.text };
    };
    const write = async (name: string, yaml: string, onnx?: Uint8Array) => {
      await mkdir(join(folder, name), { recursive: true });
      await writeFile(join(folder, name, 'model.yaml'), yaml);
      if (onnx) await writeFile(join(folder, name, 'model.onnx'), onnx);
    };
    expect(await run('plan', folder)).toMatchObject({ code: 2, err: expect.stringContaining('model.yaml') });
    await write('churn', manifestText('churn'), linearModel(1));
    await write('fraud', manifestText('fraud'));

    const first = await run('plan', folder);
    expect(first).toMatchObject({ code: 10, models: [{ change: 'new_model' }, { change: 'new_model' }] });
    expect(await run('apply', folder, '--reason', 'release 1')).toMatchObject({
      code: 0,
      models: [
        { model: 'churn', version: 1, state: 'live' },
        { model: 'fraud', version: 1, state: 'live' },
      ],
    });
    const settled = { code: 0, models: [{ change: 'none' }, { change: 'none' }] };
    expect(await run('plan', folder)).toMatchObject(settled);

    await write('churn', manifestText('churn', 'decision: {threshold: 0.7}\n'));
    await write('fraud', manifestText('fraud', 'rollout: {mode: canary, advance: manual}\n'));
    expect(await run('plan', folder)).toMatchObject({
      code: 10,
      models: [
        { change: 'new_version', live_version: 1 },
        { change: 'new_version', mode: 'canary' },
      ],
    });
    expect(await run('apply', folder)).toMatchObject({
      code: 0,
      models: [
        { version: 2, state: 'live' },
        { version: 2, state: 'canary' },
      ],
    });
    expect(await run('plan', join(folder, 'churn'))).toMatchObject({ code: 0, models: [{ change: 'none' }] });
    expect(await run('plan', join(folder, 'fraud'))).toMatchObject({ code: 0, models: [{ change: 'none' }] });

    await write('churn', 'name: churn\nfeatures: 3\n');
    expect(await run('plan', folder)).toMatchObject({
      code: 4,
      err: expect.stringMatching(/churn: .*features/),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
