import { Writable } from 'node:stream';
import { type FakeOptions, startFakeFrontDoor } from '@hotloop/client/testing/fake-front-door.ts';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from './command-context.ts';
import { CommandError } from './command-error.ts';
import { runCommandLine } from './run-command-line.ts';

type Done = (error: unknown, reply?: unknown) => void;

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line against a fake of every service, with files that exist only here. */
async function run(
  args: readonly string[],
  options: FakeOptions & { readonly files?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  await using door = await startFakeFrontDoor(options);
  const out = new Captured();
  const err = new Captured();
  const context: CommandContext = {
    terminal: { out, err },
    signal: new AbortController().signal,
    readFile: async (path) => {
      const text = options.files?.[path];
      if (text === undefined)
        throw new CommandError(`${path} is not there`, {
          cause: Object.assign(new Error('no'), { code: 'ENOENT' }),
        });
      return Buffer.from(text);
    },
    up: async () => 0,
  };
  const where = ['--address', door.address, '--retrainer', door.address];
  const code = await runCommandLine([...where, ...args], context);
  return { code, out: out.text, err: err.text };
}

const PREDICTION_ID = '01a1fdb4-7e16-7634-8489-45d21f65836e';

const ranking: FakeOptions['answer'] = (request) => ({
  reply: {
    predictionId: PREDICTION_ID,
    model: request.model,
    version: 2,
    variant: 'live',
    decision: {
      score: 0.9,
      scores: [0.1, 0.9],
      ranked: [
        { id: 'p2', rank: 1, score: 0.9, propensity: 1 },
        { id: 'p1', rank: 2, score: 0.1, propensity: 1 },
      ],
    },
    featureStatuses: [{ feature: 'price', status: 'missing', candidate: 'p1' }],
    degraded: ['history'],
  },
});

const version = {
  model: 'churn',
  version: 2,
  state: 'live',
  parentVersion: 1,
  metrics: { auc: 0.8123 },
  createdAt: '2026-01-02T03:04:05Z',
  nodes: [{ node: 'compute-1', state: 'ready' }],
};

const registry = {
  RegistryService: {
    ListModels: (_call: never, done: Done) =>
      done(null, {
        models: [{ name: 'churn', task: 'binary', liveVersion: 2, previousVersion: 1, versions: 3 }],
      }),
    GetModel: (_call: never, done: Done) =>
      done(null, { model: { name: 'churn', task: 'binary', liveVersion: 2 }, versions: [version] }),
    PushModel: (call: { on(event: string, listener: () => void): void }, done: Done) => {
      call.on('data', () => undefined);
      call.on('end', () => done(null, { version: { ...version, version: 3 }, created: true }));
    },
    Promote: (call: { write(step: object): void; end(): void }) => {
      call.write({ state: 'loading', message: '0 of 1 nodes ready' });
      call.write({ state: 'live', message: 'version 3 is live', fromVersion: 2, toVersion: 3 });
      call.end();
    },
  },
};

const runs = (last: object) => ({
  JobService: {
    Retrain: (_call: never, done: Done) => done(null, { runId: 'r1', created: true }),
    WatchRun: (call: { write(run: object): void; end(): void }) => {
      call.write({ runId: 'r1', model: 'churn', state: 'training', progress: 0.5 });
      call.write({ runId: 'r1', model: 'churn', parentVersion: 2, examples: 5000, ...last });
      call.end();
    },
    Trace: (_call: never, done: Done) =>
      done(null, {
        predictionId: PREDICTION_ID,
        steps: [
          {
            kind: 'request',
            at: '2026-01-02T03:04:05.000Z',
            service: 'preprocessor',
            summary: 'churn version 2 (live)',
            attributes: { rows: { number: 1 }, tags: { texts: { values: ['a', 'b'] } } },
          },
          { kind: 'outcome', at: '2026-01-02T03:05:00.000Z', service: 'retrainer', summary: 'true from sdk' },
        ],
      }),
  },
});

describe('hotloop predict', () => {
  it('shows a ranking with the missing features', async () => {
    const files = { 'shelf.json': '[{"id":"p1","price":3},{"id":"p2"}]' };
    const { code, out, err } = await run(['predict', 'shop', '-u', 'u1', '-c', 'shelf.json', '--features'], {
      answer: ranking,
      files,
    });
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatchInlineSnapshot(`
      "shop version 2 (live)
      score       0.9000
      without     history
      prediction  01a1fdb4-7e16-7634-8489-45d21f65836e

      rank  candidate  score
         1  p2         0.9000
         2  p1         0.1000

      feature  status   candidate
      price    missing  p1
      "
    `);
  });

  it('prints one line of JSON with --json, at any position', async () => {
    for (const args of [
      ['--json', 'predict', 'shop'],
      ['predict', 'shop', '--json'],
    ]) {
      const { out } = await run(args, { answer: ranking });
      expect(out.trimEnd().split('\n')).toHaveLength(1);
      expect(JSON.parse(out)).toMatchObject({ version: 2, ranked: [{ id: 'p2' }, { id: 'p1' }] });
    }
  });

  for (const [what, args, message] of [
    ['a request that is not JSON', ['predict', 'm', '-r', '{price: 3}'], '--request is not JSON'],
    ['a request that is no object', ['predict', 'm', '-r', '[1]'], '--request must be a JSON object'],
    ['an entity without a name', ['predict', 'm', '-e', 'u1'], '--entity must be NAME=ID'],
    ['candidates without ids', ['predict', 'm', '-c', 'bad.json'], 'each with an id'],
    ['a file that is not there', ['predict', 'm', '-c', 'no.json'], 'no.json is not there'],
    ['no model', ['predict'], "missing required argument 'model'"],
    ['a deadline that is no number', ['predict', 'm', '--timeout', 'soon'], 'whole milliseconds'],
    ['an unknown command', ['predictt'], 'Did you mean predict?'],
  ] as const)
    it(`refuses ${what} with exit code 2`, async () => {
      const { code, out, err } = await run(args, { files: { 'bad.json': '[{"price": 3}]' } });
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(message);
      const told = await run([...args, '--json'], { files: { 'bad.json': '[{"price": 3}]' } });
      expect(JSON.parse(told.out)).toMatchObject({ error: { exitCode: 2, code: 'USAGE' } });
    });

  it('reports an error of the service, as text and as JSON', async () => {
    const answer: FakeOptions['answer'] = () => ({
      failure: {
        code: 3,
        message: 'feature price is missing; send request.price',
        reason: 'missing_feature',
      },
    });
    expect(await run(['predict', 'm'], { answer })).toEqual({
      code: 4,
      out: '',
      err: 'hotloop: feature price is missing; send request.price\n',
    });
    const { out } = await run(['predict', 'm', '--json'], { answer });
    expect(JSON.parse(out).error).toMatchObject({ exitCode: 4, code: 'INVALID_ARGUMENT' });
  });

  it('names the remedy when no service answers', async () => {
    const door = await startFakeFrontDoor();
    door.kill();
    const { code, err } = await run(['--address', door.address, '--timeout', '300', 'predict', 'm']);
    expect(code).toBe(5);
    expect(err).toContain(door.address);
    expect(err).toContain('`hotloop up` starts it');
  });
});

describe('hotloop model', () => {
  it('lists and shows', async () => {
    expect((await run(['model', 'list'], { others: registry })).out).toMatchInlineSnapshot(`
      "model  task    live  previous  versions
      churn  binary     2         1         3
      "
    `);
    expect((await run(['model', 'show', 'churn'], { others: registry })).out).toMatchInlineSnapshot(`
      "churn (binary), live version 2

      version  state  from  metrics     nodes    registered
            2  live      1  auc 0.8123  1 ready  2026-01-02 03:04
      "
    `);
  });

  it('pushes a folder and makes it live, with a line for each step', async () => {
    const files = { 'churn/model.yaml': 'name: churn', 'churn/model.onnx': 'bytes' };
    const ran = await run(['model', 'push', 'churn', '--promote'], { others: registry, files });
    expect(ran).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "uploading churn
      loading: 0 of 1 nodes ready
      live: version 3 is live
      ",
        "out": "churn version 3 registered and is live
      ",
      }
    `);
  });

  it('pushes model.yaml without a file, and says that it starts untrained', async () => {
    const files = { 'churn/model.yaml': 'name: churn' };
    const { code, err } = await run(['model', 'push', 'churn'], { others: registry, files });
    expect(code).toBe(0);
    expect(err).toContain('begins untrained');
    expect((await run(['model', 'push', 'nowhere'], { others: registry })).err).toContain(
      'nowhere/model.yaml is not there',
    );
  });

  it('asks for a name for a bare file', async () => {
    const { code, err } = await run(['model', 'push', 'net.onnx'], { others: registry });
    expect([code, err.includes('--name')]).toEqual([2, true]);
  });

  it('promotes', async () => {
    expect((await run(['model', 'promote', 'churn', '3'], { others: registry })).out).toBe(
      'version 3 is live (was 2)\n',
    );
    expect((await run(['model', 'promote', 'churn', 'three'], { others: registry })).code).toBe(2);
  });
});

describe('hotloop retrain and trace', () => {
  it('follows a run to its end', async () => {
    const others = runs({
      state: 'succeeded',
      version: 3,
      metrics: { auc: 0.81, live_auc: 0.79 },
      message: 'version 3 is live',
    });
    expect(await run(['retrain', 'churn'], { others })).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "training
      succeeded: version 3 is live
      ",
        "out": "churn: succeeded, version 3 from version 2, 5000 examples
        auc               0.8100
        live_auc          0.7900
      version 3 is live
      ",
      }
    `);
  });

  it('exits with 7 when the gate refused the version', async () => {
    const others = runs({ state: 'refused', message: 'auc 0.70 is below 0.79' });
    const { code, err } = await run(['retrain', 'churn'], { others });
    expect(code).toBe(7);
    expect(err).toContain('the run was refused: auc 0.70 is below 0.79');
  });

  it('shows the history of a prediction', async () => {
    const others = runs({ state: 'succeeded' });
    expect((await run(['trace', PREDICTION_ID], { others })).out).toMatchInlineSnapshot(`
      "prediction 01a1fdb4-7e16-7634-8489-45d21f65836e
      2026-01-02T03:04:05.000Z  request    preprocessor   churn version 2 (live)
                                rows=1 tags=a,b
      2026-01-02T03:05:00.000Z  outcome    retrainer      true from sdk
      "
    `);
  });
});
