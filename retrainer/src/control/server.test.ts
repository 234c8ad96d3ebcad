import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { all, type RetrainerClients, reply, retrainerClients, upload } from '../testing/clients.ts';
import {
  digestOf,
  eventually,
  linearModel,
  makeLive,
  manifestText,
  openStores,
  push,
  type StartedRetrainer,
  type Stores,
  startTestRetrainer,
} from '../testing/fixture.ts';

const soon = () => withDeadline(10_000);
const P1 = '018bcfe5-6800-7000-8000-000000000001';
const RUN = '018bcfe5-6800-7000-8000-00000000000f';

describe('what a caller gets for bad input', () => {
  let stores: Stores;
  let started: StartedRetrainer;
  let client: RetrainerClients;

  beforeAll(async () => {
    stores = await openStores();
    const http = { listen: '127.0.0.1:0', metrics: openMetrics('retrainer') };
    started = await startTestRetrainer(stores, { trainers: 0, maxModelBytes: 1 << 20, http });
    client = retrainerClients(started.retrainer.address);
    await push(stores, manifestText('m'), linearModel());
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await started[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
  });

  it.each<[string, (client: RetrainerClients) => Promise<unknown>, number, string]>([
    [
      'an upload without a header',
      ({ registry }) =>
        reply((done) => {
          const call = registry.PushModel(soon(), done);
          call.write({ chunk: Buffer.from('x') });
          call.end();
        }),
      status.INVALID_ARGUMENT,
      'header',
    ],
    [
      'an upload of nothing at all',
      ({ registry }) => reply((done) => registry.PushModel(soon(), done).end()),
      status.INVALID_ARGUMENT,
      'header',
    ],
    [
      'two headers',
      ({ registry }) =>
        reply((done) => {
          const call = registry.PushModel(soon(), done);
          const header = { name: 'x', onnxSha256: 'a'.repeat(64), onnxBytes: 1 };
          call.write({ header });
          call.write({ header });
          call.end();
        }),
      status.INVALID_ARGUMENT,
      'chunk',
    ],
    [
      'a corrupt file',
      ({ registry }) => upload(registry, Buffer.from('no model'), { name: 'x' }),
      status.INVALID_ARGUMENT,
      'ONNX',
    ],
    [
      'a file that is too large',
      ({ registry }) => upload(registry, linearModel(), { name: 'x', onnxBytes: 1 << 21 }),
      status.RESOURCE_EXHAUSTED,
      'onnx_bytes',
    ],
    [
      'a manifest that does not fit',
      ({ registry }) => upload(registry, linearModel(), { manifestYaml: manifestText('m', 'input: rows\n') }),
      status.INVALID_ARGUMENT,
      'input',
    ],
    [
      'an unknown model',
      ({ registry }) => reply((done) => registry.GetModel({ model: 'nope' }, soon(), done)),
      status.NOT_FOUND,
      'nope',
    ],
    [
      'promoting an unknown version',
      ({ registry }) => all(registry.Promote({ model: 'm', version: 9 }, soon())),
      status.NOT_FOUND,
      'version 9',
    ],
    [
      'rolling back with nothing before',
      ({ registry }) => all(registry.Rollback({ model: 'm' }, soon())),
      status.FAILED_PRECONDITION,
      'no previous version',
    ],
    [
      'retraining an unknown model',
      ({ jobs }) => reply((done) => jobs.Retrain({ model: 'nope' }, soon(), done)),
      status.NOT_FOUND,
      'nope',
    ],
    [
      'retraining what is not live',
      ({ jobs }) => reply((done) => jobs.Retrain({ model: 'm' }, soon(), done)),
      status.FAILED_PRECONDITION,
      'promote one first',
    ],
    [
      'a run id that is none',
      ({ jobs }) => reply((done) => jobs.GetRun({ runId: "' OR 1=1" }, soon(), done)),
      status.INVALID_ARGUMENT,
      'run_id',
    ],
    ['an unknown run', ({ jobs }) => all(jobs.WatchRun({ runId: RUN }, soon())), status.NOT_FOUND, RUN],
    [
      'the loop of no model',
      ({ jobs }) => reply((done) => jobs.GetLoop({}, soon(), done)),
      status.INVALID_ARGUMENT,
      'model',
    ],
    [
      'the loop of an unknown model',
      ({ jobs }) => reply((done) => jobs.GetLoop({ model: 'nope' }, soon(), done)),
      status.NOT_FOUND,
      'nope',
    ],
    [
      'a trace of no id',
      ({ jobs }) => reply((done) => jobs.Trace({ predictionId: 'x' }, soon(), done)),
      status.INVALID_ARGUMENT,
      'prediction_id',
    ],
    [
      'a trace of an unknown id',
      ({ jobs }) => reply((done) => jobs.Trace({ predictionId: P1 }, soon(), done)),
      status.NOT_FOUND,
      P1,
    ],
  ])('%s', async (_title, call, code, text) => {
    await expect(call(client)).rejects.toMatchObject({ code, details: expect.stringContaining(text) });
  });

  it('refuses one outcome individually, with its code and reason', async () => {
    const outcomes = [
      { id: 'good', model: 'm', predictionId: P1, value: { flag: true } },
      { id: 'bad', model: 'm', predictionId: P1, value: { text: 'maybe' } },
      { id: 'good', model: 'm', predictionId: P1, value: { number: 1 } },
    ];
    const answer = await reply((done) => client.feedback.RecordOutcomes({ outcomes }, soon(), done));
    expect(answer).toEqual({
      accepted: 1,
      duplicates: 1,
      results: [
        { id: 'good', status: 'accepted', failure: null },
        {
          id: 'bad',
          status: 'refused',
          failure: {
            code: status.INVALID_ARGUMENT,
            message: expect.stringContaining('"maybe"'),
            reason: 'invalid_value',
            retryAfterMs: 0,
          },
        },
        { id: 'good', status: 'duplicate', failure: null },
      ],
    });
  });

  it('leaves nothing behind of an upload that is cut, over gRPC, HTTP and in the console', async () => {
    const temporary = await mkdtemp(join(tmpdir(), 'hotloop-cut-'));
    vi.stubEnv('TMPDIR', temporary);
    const files = async () => {
      const sizes: number[] = [];
      for (const name of await readdir(temporary, { recursive: true })) {
        const found = await stat(join(temporary, name)).catch(() => null);
        if (found?.isFile()) sizes.push(found.size);
      }
      return sizes;
    };
    const traces = async () => {
      const objects: string[] = [];
      for await (const { key } of stores.objects.list('')) objects.push(key);
      const { rows } = await stores.pool.query(
        `SELECT (SELECT json_agg(name) FROM model) AS models, (SELECT count(*) FROM model_version) AS versions,
           (SELECT count(*) FROM ledger) AS ledger, (SELECT count(*) FROM dataset) AS datasets,
           (SELECT count(*) FROM correction_upload) AS uploads, (SELECT count(*) FROM outcome) AS outcomes`,
      );
      return { objects, ...(rows[0] as object) };
    };
    try {
      const before = await traces();
      const onnx = linearModel(9);
      const half = onnx.subarray(0, onnx.length / 2);
      const call = client.registry.PushModel(soon(), () => undefined);
      call.on('error', () => undefined);
      call.write({ header: { name: 'cut', onnxSha256: digestOf(onnx), onnxBytes: onnx.length } });
      call.write({ chunk: half }, () => call.cancel());

      const address = started.retrainer.httpAddress ?? '';
      const manifest = Buffer.from(manifestText('cut')).toString('base64url');
      const table = Buffer.from(`label,x,y\n${'1,2,3\n'.repeat(500)}`);
      const uploads: readonly (readonly [path: string, type: string, body: Uint8Array])[] = [
        [`/v1/models/push?manifest=${manifest}`, 'application/octet-stream', half],
        ['/v1/console/models/cut/onnx', 'application/onnx', half],
        [`/v1/models/first-version?label=label&manifest=${manifest}`, 'text/csv', table],
        ['/v1/models/m/corrections/file', 'text/csv', table],
        ['/v1/models/m/history?label=label', 'text/csv', table],
      ];
      const tables = uploads.filter(([, type]) => type === 'text/csv').length;
      // One says how long its body is and the other sends chunks: the server must notice the missing end of both.
      for (const length of ['content-length: 1000000', 'transfer-encoding: chunked']) {
        const open = await Promise.all(
          uploads.map(async ([path, type, body]) => {
            const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1');
            socket.on('error', () => undefined);
            socket.write(
              `POST ${path} HTTP/1.1\r\nhost: ${address}\r\ncontent-type: ${type}\r\n${length}\r\n\r\n`,
            );
            if (length.endsWith('chunked')) socket.write(`${body.length.toString(16)}\r\n`);
            await new Promise((done) => socket.write(body, done));
            return socket;
          }),
        );
        await eventually(
          async () => (await files()).filter((bytes) => bytes === table.length).length === tables,
        );
        for (const socket of open) socket.destroy();
        await eventually(async () => (await readdir(temporary)).length === 0);
      }
      expect(await traces()).toEqual(before);
      await upload(client.registry, onnx, { name: 'cut' });
      const { versions } = await reply<{ versions: object[] }>((done) =>
        client.registry.GetModel({ model: 'cut' }, soon(), done as never),
      );
      expect(versions).toMatchObject([{ version: 1 }]);
    } finally {
      vi.unstubAllEnvs();
      await rm(temporary, { recursive: true, force: true });
    }
  });

  it('lists models and runs, and ends a watch when the service drains', async () => {
    await makeLive(stores, 'm', 1);
    const { models } = await reply<{ models: object[] }>((done) =>
      client.registry.ListModels({}, soon(), done as never),
    );
    expect(models.filter((model) => (model as { name: string }).name === 'm')).toMatchObject([
      { name: 'm', task: 'binary', liveVersion: 1, versions: 1 },
    ]);
    const { runId } = await reply<{ runId: string }>((done) =>
      client.jobs.Retrain({ model: 'm', reason: 'curiosity' }, soon(), done as never),
    );
    const listed = await reply<{ runs: object[] }>((done) =>
      client.jobs.ListRuns({ model: 'm' }, soon(), done as never),
    );
    expect(listed.runs).toMatchObject([{ runId, model: 'm', state: 'requested', endedAt: '' }]);
    const watch = client.jobs.WatchRun({ runId }, withDeadline(30_000));
    const seen: unknown[] = [];
    const ended = (async () => {
      for await (const run of watch) seen.push(run);
    })();
    await eventually(async () => seen.length === 1);
    await started.retrainer[Symbol.asyncDispose]();
    await ended;
  });
});

describe('keys and roles', () => {
  it('writes the subject of the key into the ledger, not what the caller says', async () => {
    await using stores = await openStores();
    const keys = 'operator-key-0123456789:ada:operate,feedback-key-0123456789:bob:feedback';
    await using started = await startTestRetrainer(
      stores,
      { trainers: 0 },
      { authenticator: createAuthenticator(keys) },
    );
    using client = retrainerClients(started.retrainer.address, 'operator-key-0123456789');
    using feedback = retrainerClients(started.retrainer.address, 'feedback-key-0123456789');
    using stranger = retrainerClients(started.retrainer.address);
    await upload(client.registry, linearModel(), { name: 'bare' }, client.metadata());
    const { rows } = await stores.pool.query('SELECT actor, action FROM ledger');
    expect(rows).toEqual([{ actor: 'ada', action: 'push' }]);
    const list = (one: RetrainerClients) =>
      reply((done) => one.registry.ListModels({}, one.metadata(), soon(), done));
    await expect(list(feedback)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await expect(list(stranger)).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });
});
