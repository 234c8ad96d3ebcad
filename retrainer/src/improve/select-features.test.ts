import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { describe, expect, it } from 'vitest';
import { openStores, startTestRetrainer } from '../testing/fixture.ts';

const MANIFEST = `name: picky
task: binary
features:
  - {name: telling, from: request.telling, transform: [{standardize: {mean: 0.5, std: 0.3}}]}
  - {name: noise, from: request.noise, transform: [{standardize: {mean: 0.5, std: 0.3}}]}
training: {epochs: 15, optimizer: {adam: {learning_rate: 0.05}}}
`;

function csv(): string {
  const random = new SeededRandom(5);
  const rows = Array.from({ length: 300 }, () => {
    const telling = random.uniform();
    return `${telling},${random.uniform()},${telling > 0.5 ? 1 : 0}`;
  });
  return ['telling,noise,label', ...rows].join('\n');
}

describe('the selection of features', () => {
  it('ranks them on held-out labels, and trains without the useless ones to compare', async () => {
    await using stores = await openStores();
    await using metrics = openMetrics('retrainer');
    await using started = await startTestRetrainer(stores, {
      ...{ trainers: 0, http: { listen: '127.0.0.1:0', metrics } },
    });
    const call = async (path: string, body: string, type: string) => {
      const answer = await fetch(`http://${started.retrainer.httpAddress}/v1/models${path}`, {
        ...{ method: 'POST', body, headers: { 'content-type': type } },
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    const manifest = Buffer.from(MANIFEST).toString('base64url');
    const trained = await call(
      `/first-version?label=label&manifest=${manifest}`,
      csv(),
      'application/octet-stream',
    );
    expect(trained.body).toMatchObject({ version: 1 });
    const selected = await call('/picky/features/select', '{"repeats": 4}', 'application/json');
    expect(selected).toMatchObject({
      status: 200,
      body: {
        ...{ model: 'picky', version: 1, metric: 'auc', rows: 60 },
        features: [
          { feature: 'telling', useless: false },
          { feature: 'noise', useless: true },
        ],
        retrained: { kept: ['telling'] },
      },
    });
    const { features, retrained } = selected.body as unknown as {
      features: { importance: number }[];
      retrained: { without_useless: number };
    };
    expect(features[0]?.importance).toBeGreaterThan(0.2);
    expect(retrained.without_useless).toBeGreaterThan(0.9);
    const unknown = await call('/nobody/features/select', '{}', 'application/json');
    expect(unknown.status).toBe(404);
  });
});
