import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { startServiceProcess } from '@hotloop/platform/testing/service-process.ts';
import { createMigratedDatabase } from '@hotloop/platform/testing/test-services.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { DecideReply__Output } from '@hotloop/proto/gen/hotloop/v1/DecideReply.ts';
import type { DecisionServiceClient } from '@hotloop/proto/gen/hotloop/v1/DecisionService.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

const MANIFEST = manifestSchema.parse({ name: 'shopper', features: [{ name: 'x', from: 'request.x' }] });

describe('the postprocessor process', () => {
  it('loses no decision when it is killed (SIGKILL) right after the answer', async () => {
    await using stack = new AsyncDisposableStack();
    const log = silentLog();
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-post-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const database = stack.use(await createMigratedDatabase());
    const pool = stack.use(
      openPool(database.url, { max: 1, queryTimeoutMs: 5000, application: 'test', log }),
    );
    await pool.query(`INSERT INTO model (name) VALUES ('shopper')`);
    await pool.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ('shopper', 1, 'b', 'o', $1)`,
      [JSON.stringify(MANIFEST)],
    );
    const environment = {
      ...{
        HOTLOOP_LISTEN: '127.0.0.1:0',
        HOTLOOP_HTTP_LISTEN: '127.0.0.1:0',
        HOTLOOP_DATA: folder,
        HOTLOOP_NODE: 'post-1',
        HOTLOOP_DRAIN_MS: '3000',
      },
      DATABASE_URL: database.url,
    };
    const service = stack.use(startServiceProcess(MAIN, environment));
    const channel = openChannel(await service.ready(), { ownConnection: true });
    const client = openServiceClient<DecisionServiceClient>(
      channel,
      loadDefinitions(['hotloop/v1/decision.proto']),
      'hotloop.v1.DecisionService',
    );
    stack.defer(() => client.close());
    const ids = randomPredictionIds();
    const decide = (predictionId: string) =>
      new Promise<DecideReply__Output>((resolve, reject) => {
        const contents = Buffer.from(Float32Array.of(0.75).buffer);
        const outputs = [{ name: 'y', datatype: 'FP32', shape: [1], contents }];
        client.decide(
          { predictionId, model: 'shopper', version: 1, variant: 'pinned', outputs },
          channel.metadata(),
          withDeadline(5000),
          (error, reply) => (error ? reject(error) : resolve(reply as DecideReply__Output)),
        );
      });
    const answered = Array.from({ length: 50 }, () => ids.next(Date.now()));
    await Promise.all(answered.map(decide));
    await service.stop('SIGKILL');

    await using again = startServiceProcess(MAIN, environment);
    await again.ready();
    const stored = async () => {
      const { rows } = await pool.query<{ id: string }>(
        'SELECT prediction_id AS id FROM decision ORDER BY 1',
      );
      return rows.map(({ id }) => id);
    };
    await expect.poll(stored, { timeout: 10_000 }).toEqual(answered.toSorted());
    expect(await again.stop('SIGTERM')).toBe(0);
  });

  it('refuses to start without its configuration, in one line that names the variables', async () => {
    await using service = startServiceProcess(MAIN, {});
    expect(await service.ended).toBe(1);
    const lines = service.stderr().trim().split('\n');
    expect(lines).toHaveLength(1);
    for (const word of ['HOTLOOP_DATA', 'DATABASE_URL']) expect(lines[0]).toContain(word);
  });
});
