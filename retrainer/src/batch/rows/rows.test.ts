import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLive, push } from '../../testing/fixture.ts';
import { requestBatch } from '../request-batch.ts';
import { asked, csv, ended, openStand } from '../testing/batch-stand.ts';

interface AskedLine {
  readonly prediction_id: string;
  readonly version: number;
  readonly request: Record<string, unknown>;
}

/** Stands for the front door: answers each line of a batch, by its number. */
async function startFrontDoor(answer: (line: AskedLine, at: number) => object) {
  const rows = new Map<string, number>();
  const server = createServer(async (request, response) => {
    const lines = (await text(request)).trimEnd().split('\n');
    const answers = lines.map((line) => {
      const asked = JSON.parse(line) as AskedLine;
      const at = rows.get(asked.prediction_id) ?? rows.size;
      rows.set(asked.prediction_id, at);
      return JSON.stringify(answer(asked, at));
    });
    response.end(`${answers.join('\n')}\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

let stand: Awaited<ReturnType<typeof openStand>>;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('a batch of single requests', () => {
  it('sends rows to be logged to the front door, under the same id at each attempt, and reports refused rows', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const source = join(folder, 'in.csv');
    await writeFile(source, csv(200));
    const seen = new Map<number, string>();
    let busy = 0;
    await using door = await startFrontDoor((body, at) => {
      const { prediction_id, version, request } = body;
      expect(version).toBe(1);
      if (seen.has(at)) expect(prediction_id).toBe(seen.get(at));
      seen.set(at, prediction_id);
      if (at === 7 && busy++ === 0) return { error: { code: 'RESOURCE_EXHAUSTED', detail: 'busy' } };
      if (Number(request.age) > 120) return { error: { code: 'INVALID_ARGUMENT', detail: 'age is 300' } };
      return {
        prediction_id,
        decision: { label: 'stays', score: Number(request.visits) / 100, scores: [], ranked: [] },
        degraded: [],
      };
    });
    await using _worker = await stand.startWorker({}, 'any', { url: door.url, apiKey: undefined });
    const request = { ...asked, source, sink: join(folder, 'out.jsonl'), options: { log: true } };
    const { run } = await requestBatch(dependencies, request, Date.now());
    expect(await ended(stores, run.runId)).toMatchObject({ state: 'done', message: '198 rows, 2 refused' });
    expect(busy).toBe(2);
    const lines = (await readFile(join(folder, 'out.jsonl'), 'utf8')).trim().split('\n');
    expect(JSON.parse(lines[3]!)).toMatchObject({ row: 3, id: 'u3', label: 'stays', score: 0.03 });
    expect(JSON.parse(lines[3]!)).toHaveProperty('prediction_id', seen.get(3));
    expect(await readFile(join(folder, 'out.jsonl.refused.jsonl'), 'utf8')).toContain('age is 300');
    const both = { ...request, sink: join(folder, 'x.csv'), options: { log: true, as_of: 'id' } };
    const refused = await requestBatch(dependencies, both, Date.now());
    expect((await ended(stores, refused.run.runId)).message).toContain('--as-of or --log');
  });

  it("computes history features as of each row's time", async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const manifest = `name: visitors
task: regression
features:
  - {name: views, from: history.user.view.count, window: 30d, missing: 0}
  - {name: price, from: request.price}
`;
    const onnx = perceptron({ inputs: 2, hidden: [], outputs: 1, activation: 'relu', head: 'none', seed: 3 });
    await makeLive(stores, 'visitors', await push(stores, manifest, onnx));
    const at = (minutes: number) => Date.UTC(2026, 0, 2, 3, minutes);
    const events = [1, 2, 3].map((minutes) => ({
      ...{ key: `e${minutes}`, type: 'view', atMs: at(minutes), arrivalUs: minutes },
      entities: { user: 'ada' },
      fields: {},
    }));
    {
      await using archive = await openEventArchive(stores.objects);
      await writeFile(join(folder, 'events.jsonl'), events.map((event) => eventLine(event)).join(''));
      await archive.addFile(join(folder, 'events.jsonl'));
    }
    const source = join(folder, 'in.csv');
    const when = (minutes: number) => new Date(at(minutes)).toISOString();
    const asOf = [
      ['ada', when(0)],
      ['ada', when(2)],
      ['ada', when(9)],
      ['bob', when(9)],
      ['ada', ''],
    ];
    await writeFile(source, `user,price,at\n${asOf.map(([user, time]) => `${user},0,${time}`).join('\n')}\n`);
    await using _worker = await stand.startWorker();
    const run = async (name: string, as_of: string) => {
      const request = { ...asked, model: 'visitors', source, sink: join(folder, name), options: { as_of } };
      return ended(stores, (await requestBatch(dependencies, request, Date.now())).run.runId);
    };
    expect(await run('out.jsonl', 'at')).toMatchObject({ state: 'done', message: '4 rows, 1 refused' });
    const scores = (await readFile(join(folder, 'out.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { score: number }).score);
    const step = scores[1]! - scores[0]!;
    expect(Math.abs(step)).toBeGreaterThan(0);
    expect(scores[2]! - scores[1]!).toBeCloseTo(step / 2, 6);
    expect(scores[3]).toBe(scores[0]);
    expect(await run('b.jsonl', 'yesterday')).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('neither a time'),
    });
    expect(await run('c.jsonl', when(2))).toMatchObject({ state: 'done', message: '5 rows' });
  });
});
