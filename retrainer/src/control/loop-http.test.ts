import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { describe, expect, it } from 'vitest';
import {
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  startTestRetrainer,
} from '../testing/fixture.ts';

describe('outcomes and the loop over HTTP', () => {
  it('records outcomes individually, and counts them as unmatched until their prediction is stored', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    await using metrics = openMetrics('retrainer');
    await using started = await startTestRetrainer(stores, {
      trainers: 0,
      http: { listen: '127.0.0.1:0', metrics },
    });
    const url = `http://${started.retrainer.httpAddress}/v1`;
    const [id] = await logPredictions(stores.pool, [{ model: 'm', features: [1, 2] }]);
    const unknown = '018bcfe5-6800-7000-8000-000000000001';
    const outcomes = [
      { id: 'a', model: 'm', predictionId: id, value: 1 },
      { id: 'a', model: 'm', predictionId: id, value: 1 },
      { id: 'b', model: 'm', predictionId: unknown, value: true },
      { id: 'c', model: 'm', predictionId: id, value: 1, occurredAt: '2026-02-30T10:00:00Z' },
      { id: 'd', model: 'm', predictionId: id, value: 1, occurredAt: '2026-02-28T10:00:00' },
    ];
    const answer = await fetch(`${url}/outcomes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ outcomes }),
    });
    const body = (await answer.json()) as {
      results: { status: string; error: { message: string } | null }[];
    };
    expect(body).toMatchObject({ accepted: 2, duplicates: 1 });
    expect(body.results.map(({ status }) => status)).toEqual([
      'accepted',
      'duplicate',
      'accepted',
      'refused',
      'refused',
    ]);
    expect(body.results[3]?.error?.message).toContain('occurred_at');
    const loop = await (await fetch(`${url}/models/m/loop`)).json();
    expect(loop).toMatchObject({
      predictionsLogged: 1,
      outcomes: 2,
      outcomesUnmatched: 1,
      deadLetters: 0,
      latestRun: null,
    });
    const scraped = await (await fetch(`http://${started.retrainer.httpAddress}/metrics`)).text();
    expect(scraped).toMatch(/^hotloop_outcomes_total{hotloop_model="m",hotloop_status="accepted"} 2$/m);
    expect(scraped).toMatch(/^hotloop_label_delay_seconds_count{hotloop_model="m"} 2$/m);
    expect(scraped).toMatch(/^hotloop_monitor_heartbeat_age_seconds \d/m);
    expect(scraped).toMatch(/^hotloop_runs_waiting 0$/m);
    const nobody = await fetch(`${url}/models/nope/loop`);
    expect(nobody.status).toBe(404);
  });
});
