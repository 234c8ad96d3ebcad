import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@hotloop/client';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import {
  createTestDatabase,
  createTestRedis,
  testServices,
} from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { dialAddress } from './free-address.ts';
import { withInternalKey } from './internal-key.ts';
import { serviceEnvironment } from './local-environment.ts';
import { ANY_PORTS, startLocal } from './start-local.ts';

const KEY = 'a-key-of-sixteen-letters';
const MANIFEST = 'name: churn\ntask: binary\nfeatures:\n  - {name: visits, from: request.visits}\n';

describe('the environment of services with API keys', () => {
  it('contains one more key for their own calls, a new one at every start', () => {
    const first = withInternalKey({ HOTLOOP_API_KEYS: `${KEY}:me:operate` });
    const second = withInternalKey({ HOTLOOP_API_KEYS: `${KEY}:me:operate` });
    expect(first.HOTLOOP_API_KEYS).toContain(`,${first.HOTLOOP_API_KEY}:hotloop-internal:`);
    expect(first.HOTLOOP_API_KEY).not.toBe(second.HOTLOOP_API_KEY);
    expect(withInternalKey({})).toEqual({});
  });
});

it('hands every setting of the services on, except what `hotloop up` decides, and nothing else', () => {
  const given = {
    HOTLOOP_SMTP_URL: 'smtp://mail.example',
    HOTLOOP_MAIL_FROM: 'hotloop@example.com',
    HOTLOOP_MONITORING: 'here',
    HOTLOOP_SQL_MEMORY_MB: '100',
    HOTLOOP_EXECUTION_PROVIDERS: 'cpu',
    BOOKINGS_URL: 'postgres://bookings.example/x',
    AWS_ENDPOINT_URL: 'http://s3.example:9000',
    PATH: '/bin',
  };
  const others = {
    HOTLOOP_RETRAINER: 'far.example:1',
    HOTLOOP_API_KEY: 'k',
    HOTLOOP_NODE: 'n',
    HOME: '/root',
  };
  expect(serviceEnvironment({ ...given, ...others })).toEqual(given);
});

describe('an address that is listened on', () => {
  it.each([
    ['0.0.0.0:7400', '127.0.0.1:7400'],
    ['[::]:7400', '[::1]:7400'],
    ['10.0.0.7:7400', '10.0.0.7:7400'],
  ])('%s is reached at %s', (listening, dialled) => {
    expect(dialAddress(listening)).toBe(dialled);
  });
});

describe('four processes that ask for keys', { timeout: 120_000 }, () => {
  it('answer a caller with a key, and call each other with their own', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hotloop-keys-'));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    const database = stack.use(await createTestDatabase());
    const cache = stack.use(await createTestRedis('cache'));
    const queue = stack.use(await createTestRedis('queue'));
    const local = stack.use(
      await startLocal(
        {
          dir,
          cacheDir: fileURLToPath(new URL('../../../.hotloop/cache', import.meta.url)),
          fresh: false,
          single: false,
          ports: ANY_PORTS,
          host: '0.0.0.0',
          addresses: {
            DATABASE_URL: database.url,
            REDIS_CACHE_URL: cache.url,
            REDIS_QUEUE_URL: queue.url,
            KAFKA_BROKERS: testServices().kafkaBrokers,
          },
          environment: { HOTLOOP_API_KEYS: `${KEY}:me:predict+operate` },
          say: () => undefined,
        },
        AbortSignal.timeout(100_000),
      ),
    );
    expect(local.addresses.preprocessor).toMatch(/^0\.0\.0\.0:/);
    expect(local.addresses.postprocessor).toMatch(/^127\.0\.0\.1:/);
    const addresses = {
      address: dialAddress(local.addresses.preprocessor),
      retrainerAddress: dialAddress(local.addresses.retrainer),
    };
    const client = stack.use(await connect({ ...addresses, apiKey: KEY }));
    const stranger = stack.use(await connect(addresses));
    const onnx = perceptron({
      inputs: 1,
      hidden: [],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 1,
    });
    const { version } = await client.models.push({ manifestYaml: MANIFEST, onnx }).finished();
    await client.models.promote('churn', version.version).finished();
    await expect
      .poll(async () => (await client.predict('churn', { request: { visits: 3 } })).version, {
        timeout: 10_000,
      })
      .toBe(1);
    await expect(stranger.predict('churn', { request: { visits: 3 } })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });
});
