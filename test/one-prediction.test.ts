import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresNodeReport } from '@hotloop/compute/nodes/node-report.ts';
import { startCompute } from '@hotloop/compute/service.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { openChannel } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { postgresDeadLetters } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { directoryBundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { startTracing } from '@hotloop/platform/telemetry/tracing.ts';
import {
  createMigratedDatabase,
  createTestRedis,
  testServices,
  uniqueName,
} from '@hotloop/platform/testing/test-services.ts';
import { startPostprocessor } from '@hotloop/postprocessor/service.ts';
import { GrpcDecision } from '@hotloop/preprocessor/adapters/grpc-decision.ts';
import { GrpcInference } from '@hotloop/preprocessor/adapters/grpc-inference.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { startPreprocessor } from '@hotloop/preprocessor/service.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { PredictItem } from '@hotloop/proto/gen/hotloop/v1/PredictItem.ts';
import type { PredictionServiceClient } from '@hotloop/proto/gen/hotloop/v1/PredictionService.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReplyItem.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { describe, expect, it } from 'vitest';

const MANIFEST = `
name: ranker
task: ranking
features:
  - {name: price, from: item.price, transform: [log1p]}
  - {name: views, from: history.user.view.count, missing: 0}
  - {name: popular, from: history.item.view.count, missing: 0}
decision:
  combine: "score + 0.0 * item.price"
  rank: {top_k: 2, exclude: history.user.buy.item}
  explore: {epsilon: 0.5}
`;

type Exporter = NonNullable<Parameters<typeof startTracing>[0]['exporter']>;

/** Keeps spans instead of sending them. */
class SpanCollector implements Exporter {
  readonly spans: Parameters<Exporter['export']>[0] = [];

  export(spans: Parameters<Exporter['export']>[0], done: Parameters<Exporter['export']>[1]): void {
    this.spans.push(...spans);
    done({ code: 0 });
  }

  async shutdown(): Promise<void> {}
}

/** The three services of a prediction over gRPC, on real stores, with one live version of one model. */
async function open(exporter?: Exporter) {
  const stack = new AsyncDisposableStack();
  const log = silentLog();
  const database = stack.use(await createMigratedDatabase());
  const cache = stack.use(await createTestRedis('cache'));
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-one-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const pool = stack.use(
    openPool(database.url, { max: 8, queryTimeoutMs: 10_000, application: 'test', log }),
  );
  const store = directoryBundleStore(join(folder, 'store'));
  const shape = { inputs: 3, hidden: [4], outputs: 1, activation: 'tanh', head: 'sigmoid', seed: 3 } as const;
  const onnx = perceptron(shape);
  const bundle = await store.put({ manifestYaml: MANIFEST, onnx });
  await pool.query(`INSERT INTO model (name) VALUES ('ranker')`);
  await pool.query(
    `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ('ranker', 1, $1, $2, $3)`,
    [bundle, sha256(onnx), JSON.stringify(parseManifest(MANIFEST))],
  );
  await pool.query(`UPDATE model SET live_version = 1, generation = 1`);
  const registry = stack.use(await openRegistry(pool, database.url, log));
  const redis = stack.use(
    await openRedis(cache.url, { commandTimeoutMs: 2000, role: 'cache', name: 'history', log }),
  );
  const authenticator = createAuthenticator(undefined);
  const tracingOf = (service: string) =>
    stack.use(startTracing({ service, sampleRatio: exporter ? 1 : 0, ...(exporter ? { exporter } : {}) }));
  const tracings = [tracingOf('compute'), tracingOf('postprocessor'), tracingOf('preprocessor')] as const;
  const shared = { registry, authenticator, log };
  const http = (service: string) => ({
    listen: '127.0.0.1:0',
    metrics: stack.use(openMetrics(service)),
  });
  const computeMetrics = stack.use(openMetrics('compute'));
  const compute = stack.use(
    await startCompute(
      {
        ...{ node: 'c1', listen: '127.0.0.1:0', httpListen: '127.0.0.1:0', drainMs: 2000 },
        dataDirectory: join(folder, 'compute'),
      },
      {
        ...shared,
        tracing: tracings[0],
        store,
        pool,
        databaseUrl: database.url,
        report: postgresNodeReport(pool, 'c1'),
        metrics: computeMetrics,
      },
      new AbortController().signal,
    ),
  );
  const postprocessor = stack.use(
    await startPostprocessor(
      {
        ...{ node: 'p1', listen: '127.0.0.1:0', drainMs: 2000, http: http('postprocessor') },
        journalDirectory: join(folder, 'decision'),
      },
      { ...shared, tracing: tracings[1], pool, databaseUrl: database.url },
    ),
  );
  const inference = stack.use(new GrpcInference({ address: compute.address }, log));
  const decision = stack.use(new GrpcDecision({ address: postprocessor.address }, log));
  const brokers = testServices().kafkaBrokers.split(',');
  const topic = uniqueName('events');
  const preprocessor = stack.use(
    await startPreprocessor(
      {
        ...{ listen: '127.0.0.1:0', drainMs: 2000, http: http('preprocessor') },
        // A busy machine may be late; what a late history costs is tested beside the gate.
        historyGate: { budgetMs: 5000, failures: 5, restMs: 1000 },
        events: { brokers, clientId: 'test', topics: [topic], groupId: uniqueName('history') },
      },
      {
        ...shared,
        tracing: tracings[2],
        inference,
        decision,
        history: new RedisHistory(redis),
        keepDeadLetter: postgresDeadLetters(pool, 'test'),
      },
    ),
  );
  const producer = stack.use(await openProducer({ brokers, clientId: 'test', log }));
  const channel = openChannel(preprocessor.address, { ownConnection: true });
  const client = openServiceClient<PredictionServiceClient>(
    channel,
    loadDefinitions(['hotloop/v1/prediction.proto']),
    'hotloop.v1.PredictionService',
  );
  stack.defer(() => client.close());
  const framed = stack.use(
    new FramedClient<PredictItem, PredictReplyItem__Output>({
      name: 'preprocessor',
      open: () => client.predictStream(channel.metadata()),
    }),
  );
  return {
    ...{ pool, producer, topic, compute, postprocessor, preprocessor, tracings },
    async predict(request: PredictRequest): Promise<PredictReply__Output> {
      const { reply } = await framed.call(
        { request: { model: 'ranker', ...request } },
        { timeoutMs: 10_000 },
      );
      if (!reply) throw new Error('no reply');
      return reply;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const candidates = ['a', 'b', 'c', 'd'].map((id, index) => ({
  id,
  attributes: { price: { number: index * 10 } },
}));

const happened = (id: string, type: string, entity: Record<string, string>) => ({
  key: entity.user ?? '',
  value: JSON.stringify({
    ...{ specversion: '1.0', id, source: '/shop', type, time: new Date().toISOString() },
    data: { entity },
  }),
});

describe('one prediction through preprocessor, compute and postprocessor', () => {
  it('is computed from its history, decided, and logged on both sides under its id', async () => {
    await using opened = await open();
    const { pool, producer, topic, predict } = opened;
    await opened.preprocessor.eventsJoined(20_000);
    const user = { user: 'u1' };
    // A version that was promoted a moment ago may still be loading.
    await expect
      .poll(
        () =>
          predict({ entities: user, candidates }).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    await producer.send(topic, [
      happened('e1', 'view', { user: 'u1', item: 'a' }),
      happened('e2', 'view', { user: 'u1', item: 'b' }),
      happened('e3', 'buy', { user: 'u1', item: 'c' }),
    ]);
    // The purchase was sent last: once it rules its item out, three candidates share the exploration.
    const ofThree = (propensity: number) =>
      [0.5 / 3, 0.5 / 3 + 0.5].some((one) => Math.abs(one - propensity) < 1e-9);
    await expect
      .poll(
        async () => {
          const { decision } = await predict({ entities: user, candidates });
          return decision?.ranked.every(({ propensity }) => ofThree(propensity));
        },
        { timeout: 20_000, interval: 50 },
      )
      .toBe(true);

    const replies = await Promise.all(
      Array.from({ length: 300 }, () => predict({ entities: user, candidates, wantFeatureStatuses: true })),
    );
    for (const { decision, degraded, featureStatuses } of replies) {
      expect(degraded).toEqual([]);
      expect(decision?.scores).toHaveLength(4);
      expect(decision?.ranked.map(({ rank }) => rank)).toEqual([1, 2]);
      expect(decision?.ranked.map(({ id }) => id)).not.toContain('c');
      for (const { propensity } of decision?.ranked ?? []) expect(ofThree(propensity)).toBe(true);
      expect(new Set(featureStatuses.map(({ status }) => status))).toEqual(new Set(['FRESH']));
    }

    await Promise.all([opened.compute.flushLog(10_000), opened.postprocessor.flush(10_000)]);
    const ids = replies.map(({ predictionId }) => predictionId);
    const { rows } = await pool.query(
      `SELECT prediction_id AS id, p.entities, p.candidates, p.features, d.shown, p.version, d.version AS decided_version
         FROM prediction p JOIN decision d USING (prediction_id) WHERE prediction_id = ANY($1)`,
      [ids],
    );
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(ids));
    expect(rows).toHaveLength(300);
    for (const row of rows) {
      const reply = replies.find(({ predictionId }) => predictionId === row.id);
      expect(row).toMatchObject({
        entities: user,
        candidates: ['a', 'b', 'c', 'd'],
        version: 1,
        decided_version: 1,
      });
      expect(row.shown).toEqual(reply?.decision?.ranked);
      const features = [...new Float32Array(new Uint8Array(row.features).buffer)];
      const expected = [0, 10, 20, 30].flatMap((price, index) => [
        Math.fround(Math.log1p(price)),
        2,
        index < 2 ? 1 : 0,
      ]);
      expect(features).toEqual(expected);
    }
  });

  it('is counted under /metrics of each service, with a trace behind slow buckets', async () => {
    await using opened = await open();
    const { predict } = opened;
    const user = { user: 'u1' };
    await expect
      .poll(
        () =>
          predict({ entities: user, candidates }).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    const { predictionId } = await predict({ entities: user, candidates });
    await expect(predict({ model: 'nobody-knows-it', entities: user, candidates })).rejects.toThrow();
    const scrape = async (address: string, accept = 'text/plain') =>
      (await fetch(`http://${address}/metrics`, { headers: { accept } })).text();
    const [front, compute, post] = await Promise.all(
      [opened.preprocessor, opened.compute, opened.postprocessor].map(({ httpAddress }) =>
        scrape(httpAddress),
      ),
    );
    const version = 'hotloop_model="ranker",hotloop_version="1"';
    expect(front).toMatch(
      new RegExp(
        `^hotloop_predictions_total{${version},hotloop_variant="live",hotloop_code="OK"} [1-9]`,
        'm',
      ),
    );
    expect(front).toContain('hotloop_model="unknown"');
    expect(front).not.toContain('nobody-knows-it');
    expect(front).toMatch(/^hotloop_history_read_duration_seconds_count{hotloop_outcome="ok"} [1-9]/m);
    expect(front).toMatch(/^hotloop_predictions_in_flight 0$/m);
    expect(compute).toMatch(/^nv_inference_request_success{model="ranker",version="1"} [1-9]/m);
    expect(compute).toMatch(/^nv_inference_count{model="ranker",version="1"} [48]/m);
    expect(compute).toMatch(
      new RegExp(`^hotloop_inference_run_duration_seconds_bucket{${version},le="\\+Inf"} [1-9]`, 'm'),
    );
    expect(compute).toMatch(new RegExp(`^hotloop_batch_size_count{${version}} [1-9]`, 'm'));
    expect(compute).toMatch(new RegExp(`^hotloop_version_memory_bytes{${version}} \\d`, 'm'));
    expect(compute).toMatch(new RegExp(`^hotloop_queue_depth{${version}} 0`, 'm'));
    expect(compute).toMatch(/^hotloop_journal_lag_seconds{hotloop_journal="prediction"} \d/m);
    expect(post).toMatch(new RegExp(`^hotloop_decisions_total{${version},hotloop_code="OK"} [1-9]`, 'm'));
    const again = await scrape(opened.postprocessor.httpAddress, 'application/openmetrics-text');
    expect(again).toMatch(/http_server_request_duration_seconds_count{.*http_route="\/metrics".*} 1/);
    const traced = await scrape(opened.compute.httpAddress, 'application/openmetrics-text; version=1.0.0');
    expect(traced).toContain(`# {trace_id="${predictionId.replaceAll('-', '')}"}`);
    expect(traced.endsWith('# EOF\n')).toBe(true);
  });

  it('leaves one trace, whose id is the prediction, across the services', async () => {
    const collector = new SpanCollector();
    await using opened = await open(collector);
    const ask = () => opened.predict({ entities: { user: 'u1' }, candidates });
    await expect
      .poll(
        () =>
          ask().then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    const { predictionId } = await ask();
    await Promise.all(opened.tracings.map((tracing) => tracing.flush()));
    const traceId = predictionId.replaceAll('-', '');
    const spans = collector.spans.filter((span) => span.spanContext().traceId === traceId);
    const services = new Set(spans.map((span) => span.resource.attributes['service.name']));
    expect(services).toEqual(new Set(['preprocessor', 'compute', 'postprocessor']));
    const roots = spans.filter((span) => span.parentSpanContext === undefined);
    expect(roots.map(({ name }) => name)).toEqual(['predict']);
    const ids = new Set(spans.map((span) => span.spanContext().spanId));
    for (const span of spans)
      if (span.parentSpanContext) expect(ids.has(span.parentSpanContext.spanId), span.name).toBe(true);
  });
});
