import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { fromStatus } from '@hotloop/platform/framed/status.ts';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import { startTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { createMigratedDatabase, testServices } from '@hotloop/platform/testing/test-services.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { type HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { DecideItem } from '@hotloop/proto/gen/hotloop/v1/DecideItem.ts';
import type { DecideReply__Output } from '@hotloop/proto/gen/hotloop/v1/DecideReply.ts';
import type { DecideReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/DecideReplyItem.ts';
import type { DecideRequest } from '@hotloop/proto/gen/hotloop/v1/DecideRequest.ts';
import type { DecisionServiceClient } from '@hotloop/proto/gen/hotloop/v1/DecisionService.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { startPostprocessor } from './service.ts';

const BINARY = manifestSchema.parse({
  name: 'shopper',
  features: [{ name: 'x', from: 'request.x' }],
  decision: { labels: ['leaves', 'buys'] },
});
const RANKER = manifestSchema.parse({
  name: 'ranker',
  task: 'ranking',
  features: [{ name: 'x', from: 'item.x' }],
  decision: { combine: 'score + item.margin', rank: { top_k: 2 } },
});

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-decision-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function registryOf() {
  const registry = memoryRegistry();
  for (const manifest of [BINARY, RANKER])
    registry.set({
      ...{ name: manifest.name, liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
      versions: new Map([
        [
          1,
          {
            model: manifest.name,
            version: 1,
            bundleSha256: 'b',
            onnxSha256: '',
            manifest,
            parentVersion: null,
          },
        ],
      ]),
    });
  registry.publish();
  return registry;
}

/** The postprocessor with a database and a folder, and a client for it. */
async function open(url: string, journalDirectory: string, serviceUrl = url) {
  const stack = new AsyncDisposableStack();
  const log = silentLog();
  const settings = { max: 2, queryTimeoutMs: 5000, application: 'test', log };
  const pool = stack.use(openPool(url, settings));
  const servicePool = stack.use(openPool(serviceUrl, settings));
  const service = stack.use(
    await startPostprocessor(
      { listen: '127.0.0.1:0', node: 'post-1', journalDirectory, drainMs: 2000 },
      {
        ...{ registry: registryOf(), pool: servicePool, databaseUrl: serviceUrl },
        ...{ authenticator: createAuthenticator(undefined), log },
        tracing: stack.use(startTracing({ service: 'postprocessor', sampleRatio: 0 })),
      },
    ),
  );
  const channel = openChannel(service.address, { ownConnection: true });
  const client = openServiceClient<DecisionServiceClient>(
    channel,
    loadDefinitions(['hotloop/v1/decision.proto']),
    'hotloop.v1.DecisionService',
  );
  stack.defer(() => client.close());
  const framed = stack.use(
    new FramedClient<DecideItem, DecideReplyItem__Output>({
      name: 'postprocessor',
      open: () => client.decideStream(channel.metadata()),
    }),
  );
  return {
    ...{ pool, service, framed },
    decide: (request: DecideRequest) =>
      new Promise<DecideReply__Output>((resolve, reject) => {
        client.decide(request, channel.metadata(), withDeadline(5000), (error, reply) =>
          error ? reject(fromStatus(error)) : resolve(reply as DecideReply__Output),
        );
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const ids = randomPredictionIds();

const binary = (score: number, predictionId = ids.next(Date.now())): DecideRequest => ({
  ...{ predictionId, model: 'shopper', version: 1, variant: 'live', timeoutMs: 5000 },
  outputs: [
    { name: 'y', datatype: 'FP32', shape: [1, 1], contents: Buffer.from(Float32Array.of(score).buffer) },
  ],
});

async function refusal(promise: Promise<unknown>): Promise<HotloopError> {
  return promise.then(
    () => {
      throw new Error('nothing was refused');
    },
    (error: unknown) => toHotloopError(error),
  );
}

describe('DecisionService', () => {
  it('decides, and stores its decisions in Postgres once, with what was shown', async () => {
    await using database = await createMigratedDatabase();
    await using folder = await temporaryFolder();
    await using opened = await open(database.url, folder.path);
    const predictionId = ids.next(Date.now());
    const request: DecideRequest = {
      ...{ predictionId, model: 'ranker', version: 1, variant: 'pinned', excluded: ['b'] },
      outputs: [
        {
          name: 'y',
          datatype: 'FP64',
          shape: [4],
          contents: Buffer.from(Float64Array.of(1, 9, 2, 3).buffer),
        },
      ],
      candidates: ['a', 'b', 'c', 'd'].map((id) => ({
        id,
        attributes: { margin: { number: id === 'a' ? 5 : 0 } },
      })),
    };
    const { decision } = await opened.decide(request);
    expect(decision?.ranked.map(({ id, rank, propensity }) => [id, rank, propensity])).toEqual([
      ['a', 1, 1],
      ['d', 2, 1],
    ]);
    expect(decision?.scores).toEqual([6, 9, 2, 3]);
    await opened.decide(request);
    await opened.service.flush(5000);
    const { rows } = await opened.pool.query('SELECT * FROM decision');
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      ...{ prediction_id: predictionId, model: 'ranker', version: 1, variant: 'pinned', label: '', score: 6 },
      ...{ node: 'post-1', shown: decision?.ranked },
    });
    expect(Math.abs(rows[0].at.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('decides a thousand predictions over one stream and ships every one of them', async () => {
    await using database = await createMigratedDatabase();
    await using folder = await temporaryFolder();
    await using opened = await open(database.url, folder.path);
    const labels = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const reply = await opened.framed.call({ request: binary(index / 1000) }, { timeoutMs: 10_000 });
        return reply.decision?.label;
      }),
    );
    expect(labels).toEqual(Array.from({ length: 1000 }, (_, index) => (index < 500 ? 'leaves' : 'buys')));
    await opened.service.flush(10_000);
    const { rows } = await opened.pool.query(
      'SELECT count(*)::int AS all, count(DISTINCT prediction_id)::int AS distinct FROM decision',
    );
    expect(rows[0]).toEqual({ all: 1000, distinct: 1000 });
  });

  it('continues to decide while Postgres is down, and ships the decisions at the next start', async () => {
    await using database = await createMigratedDatabase();
    await using folder = await temporaryFolder();
    const nobody = new URL(testServices().databaseUrl);
    nobody.port = '1';
    const predictionId = ids.next(Date.now());
    {
      await using cutOff = await open(database.url, folder.path, nobody.href);
      expect((await cutOff.decide(binary(0.9, predictionId))).decision?.label).toBe('buys');
      expect((await cutOff.pool.query('SELECT 1 FROM decision')).rows).toEqual([]);
    }
    await using again = await open(database.url, folder.path);
    await again.service.flush(5000);
    const { rows } = await again.pool.query('SELECT prediction_id, label FROM decision');
    expect(rows).toEqual([{ prediction_id: predictionId, label: 'buys' }]);
  });

  it('rejects what it cannot decide, naming the problem, and stores nothing', async () => {
    await using database = await createMigratedDatabase();
    await using folder = await temporaryFolder();
    await using opened = await open(database.url, folder.path);
    const good = binary(0.5);
    const cases: [DecideRequest, string, string][] = [
      [{ ...good, model: 'nobody' }, 'NOT_FOUND', 'nobody'],
      [{ ...good, version: 9 }, 'NOT_FOUND', '9'],
      [{ ...good, predictionId: 'x' }, 'INVALID_ARGUMENT', 'prediction_id'],
      [{ ...good, variant: 'other' }, 'INVALID_ARGUMENT', 'variant'],
      [{ ...good, outputs: [] }, 'INVALID_ARGUMENT', 'output'],
      [{ ...good, outputs: [{ name: 'y', datatype: 'FP99', shape: [1] }] }, 'INVALID_ARGUMENT', 'y'],
      [{ ...binary(Number.NaN) }, 'INVALID_ARGUMENT', 'finite'],
    ];
    for (const [request, code, word] of cases) {
      const error = await refusal(opened.decide(request));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(word)]);
    }
    await opened.service.flush(5000);
    expect((await opened.pool.query('SELECT 1 FROM decision')).rows).toEqual([]);
  });
});
