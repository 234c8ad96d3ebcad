import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { startServiceProcess } from '@hotloop/platform/testing/service-process.ts';
import {
  createMigratedDatabase,
  createTestRedis,
  testServices,
  uniqueName,
} from '@hotloop/platform/testing/test-services.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { PredictionServiceClient } from '@hotloop/proto/gen/hotloop/v1/PredictionService.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import { describe, expect, it } from 'vitest';
import { EVENTS_TOPIC } from './events.ts';
import { ThresholdDecision } from './testing/memory-decision.ts';
import { LogisticInference, logistic } from './testing/memory-inference.ts';
import { serveDecision, serveInference } from './testing/port-servers.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

const MANIFEST = manifestOf({
  name: 'shopper',
  features: [{ name: 'views', from: 'history.user.view.count', missing: -1 }],
});

describe('the preprocessor process', () => {
  it('serves from a registry in Postgres and a history fed by Kafka, and drains on SIGTERM', async () => {
    await using stack = new AsyncDisposableStack();
    const log = silentLog();
    const database = stack.use(await createMigratedDatabase());
    const cache = stack.use(await createTestRedis('cache'));
    const pool = stack.use(
      openPool(database.url, { max: 1, queryTimeoutMs: 5000, application: 'test', log }),
    );
    await pool.query(`INSERT INTO model (name) VALUES ('shopper')`);
    await pool.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ('shopper', 1, 'b', 'o', $1)`,
      [JSON.stringify(MANIFEST)],
    );
    await pool.query(`UPDATE model SET live_version = 1, generation = 1 WHERE name = 'shopper'`);
    const inference = new LogisticInference();
    const compute = stack.use(await serveInference(inference));
    const postprocessor = stack.use(await serveDecision(new ThresholdDecision()));
    const { kafkaBrokers } = testServices();
    const user = uniqueName('u');
    const service = stack.use(
      startServiceProcess(MAIN, {
        HOTLOOP_LISTEN: '127.0.0.1:0',
        HOTLOOP_HTTP_LISTEN: '127.0.0.1:0',
        HOTLOOP_STORE: join(tmpdir(), 'hotloop-preprocessor-test'),
        HOTLOOP_COMPUTE: compute.address,
        HOTLOOP_POSTPROCESSOR: postprocessor.address,
        HOTLOOP_DRAIN_MS: '3000',
        DATABASE_URL: database.url,
        REDIS_CACHE_URL: cache.url,
        KAFKA_BROKERS: kafkaBrokers,
      }),
    );
    const channel = openChannel(await service.ready(), { ownConnection: true });
    const client = openServiceClient<PredictionServiceClient>(
      channel,
      loadDefinitions(['hotloop/v1/prediction.proto']),
      'hotloop.v1.PredictionService',
    );
    stack.defer(() => client.close());
    const predict = () =>
      new Promise<PredictReply__Output>((resolve, reject) => {
        const request = { model: 'shopper', entities: { user } };
        client.predict(request, channel.metadata(), withDeadline(5000), (error, reply) =>
          error ? reject(error) : resolve(reply as PredictReply__Output),
        );
      });
    // A busy machine may answer without the history, whose time budget is small.
    const score = async () => (await predict()).decision?.score;
    await expect.poll(score).toBeCloseTo(logistic([0]), 6);

    const producer = stack.use(
      await openProducer({ brokers: kafkaBrokers.split(','), clientId: 'test', log }),
    );
    const event = {
      ...{ specversion: '1.0', id: user, source: '/shop', type: 'view', time: new Date().toISOString() },
      data: { entity: { user } },
    };
    await producer.send(EVENTS_TOPIC, [{ key: user, value: JSON.stringify(event) }]);
    await expect.poll(score, { interval: 100 }).toBeCloseTo(logistic([1]), 6);
    await expect.poll(async () => (await predict()).degraded).toEqual([]);

    expect(await service.stop('SIGTERM')).toBe(0);
  });

  it('refuses to start without its configuration, in one line that names the variables', async () => {
    await using service = startServiceProcess(MAIN, { HOTLOOP_LISTEM: '127.0.0.1:0' });
    expect(await service.ended).toBe(1);
    const lines = service.stderr().trim().split('\n');
    expect(lines).toHaveLength(1);
    for (const word of ['HOTLOOP_LISTEM', 'HOTLOOP_LISTEN', 'DATABASE_URL', 'REDIS_CACHE_URL'])
      expect(lines[0]).toContain(word);
  });
});
