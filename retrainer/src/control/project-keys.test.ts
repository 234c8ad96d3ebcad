import { status } from '@grpc/grpc-js';
import { ApiKeyStore } from '@hotloop/platform/auth/api-key-store.ts';
import { openKeyring } from '@hotloop/platform/auth/keyring.ts';
import { ProjectStore } from '@hotloop/platform/auth/project-store.ts';
import { withDeadline } from '@hotloop/platform/grpc/client.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { describe, expect, it } from 'vitest';
import { all, reply, retrainerClients, upload } from '../testing/clients.ts';
import {
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  openStores,
  push,
  startTestRetrainer,
} from '../testing/fixture.ts';

const soon = () => withDeadline(10_000);
const WAIT_MS = 20_000;

describe('a key of a project', () => {
  it('reaches only its models and topics, over gRPC and HTTP', async () => {
    await using stores = await openStores();
    await using metrics = openMetrics('retrainer');
    await new ProjectStore(stores.pool).put({ name: 'shop', maxModels: 1 });
    const keys = new ApiKeyStore(stores.pool);
    const { key } = await keys.create({ subject: 'team', roles: ['operate', 'feedback'], project: 'shop' });
    await using ring = await openKeyring(keys, silentLog(), { apiKeys: 'whole-key-0123456789:ops:operate' });
    await using started = await startTestRetrainer(
      stores,
      { trainers: 0, http: { listen: '127.0.0.1:0', metrics } },
      { authenticator: ring },
    );
    using whole = retrainerClients(started.retrainer.address, 'whole-key-0123456789');
    using team = retrainerClients(started.retrainer.address, key);
    await upload(whole.registry, linearModel(), { name: 'bank-a' }, whole.metadata());
    await upload(team.registry, linearModel(), { name: 'shop-a' }, team.metadata());
    const pushed = (header: Parameters<typeof upload>[2]) =>
      upload(team.registry, linearModel(), header, team.metadata());
    await expect(pushed({ name: 'bank-a' })).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await expect(pushed({ name: 'shop-b' })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    const foreign = manifestText('shop-a', 'outcome: {from: kafka:bank.buys, join: [user]}\n');
    await expect(pushed({ manifestYaml: foreign })).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
      details: expect.stringContaining('bank.buys'),
    });
    const model = (name: string) =>
      reply((done) => team.registry.GetModel({ model: name }, team.metadata(), soon(), done));
    await expect(model('shop-a')).resolves.toMatchObject({ model: { name: 'shop-a' } });
    await expect(model('bank-a')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await expect(
      reply((done) => team.registry.ListModels({}, team.metadata(), soon(), done)),
    ).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await makeLive(stores, 'bank-a', await push(stores, manifestText('bank-a'), linearModel()));
    const [own = '', other = ''] = await logPredictions(stores.pool, [
      { model: 'shop-a', features: [1, 2] },
      { model: 'bank-a', features: [1, 2] },
    ]);
    const trace = (predictionId: string) =>
      reply((done) => team.jobs.Trace({ predictionId }, team.metadata(), soon(), done));
    await expect(trace(own)).resolves.toMatchObject({ predictionId: own });
    await expect(trace(other)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    const { runId } = await reply<{ runId: string }>((done) =>
      whole.jobs.Retrain({ model: 'bank-a' }, whole.metadata(), soon(), done),
    );
    await expect(
      reply((done) => team.jobs.GetRun({ runId }, team.metadata(), soon(), done)),
    ).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await expect(all(team.jobs.WatchRun({ runId }, team.metadata(), soon()))).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    const rollout = '00000000-0000-4000-8000-00000000000a';
    await stores.pool.query(
      `INSERT INTO rollout (rollout_id, model, version, action, mode, plan, state, salt, generation, actor, ended_at)
       VALUES ($1, 'bank-a', 1, 'promote', 'at_once', '{}', 'settled', '', 1, 'ops', now())`,
      [rollout],
    );
    const http = async (path: string) =>
      (
        await fetch(`http://${started.retrainer.httpAddress}${path}`, {
          headers: { authorization: `Bearer ${key}` },
        })
      ).status;
    expect(await http('/v1/models/shop-a/loop')).toBe(200);
    expect(await http('/v1/models/bank-a/loop')).toBe(403);
    expect(await http(`/v1/rollouts/${rollout}`)).toBe(403);
    expect(await http('/v1/status')).toBe(403);
    expect(await http('/v1/status?model=shop-a')).toBe(403);
    await stores.pool.query(
      `INSERT INTO batch_schedule (name, spec, enabled) VALUES ('nightly', '{"model":"bank-a"}', false)`,
    );
    const routes = await routesOf(started.retrainer.httpAddress ?? '');
    expect(routes.length).toBeGreaterThan(60);
    for (const { method, path } of routes) {
      const of = { model: 'bank-a', version: '1', name: 'nightly', sha256: 'abcdef0123456789' };
      const named = path.replace(/\{(\w+)\}/g, (_, part: string) => of[part as keyof typeof of] ?? rollout);
      const answer = await fetch(`http://${started.retrainer.httpAddress}${named}?model=shop-a`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: '{}' }),
        signal: AbortSignal.timeout(WAIT_MS),
      });
      const text = await answer.text();
      // A list that can be asked for one model shows the own one alone.
      if (answer.ok) expect(text, `${method} ${path}`).not.toContain('bank');
      else expect([400, 403], `${method} ${path}: ${text}`).toContain(answer.status);
    }
  });

  it('pushes, plans and starts batches only with the models, topics, databases and objects of the project', async () => {
    await using stores = await openStores();
    await using metrics = openMetrics('retrainer');
    await new ProjectStore(stores.pool).put({ name: 'shop' });
    const keys = new ApiKeyStore(stores.pool);
    const { key } = await keys.create({ subject: 'team', roles: ['operate'], project: 'shop' });
    const limited = await keys.create({ subject: 'one', roles: ['operate'], models: ['shop-a'] });
    await using ring = await openKeyring(keys, silentLog(), { apiKeys: 'whole-key-0123456789:ops:operate' });
    await using started = await startTestRetrainer(
      stores,
      { trainers: 0, http: { listen: '127.0.0.1:0', metrics } },
      { authenticator: ring },
    );
    await push(stores, manifestText('shop-a'), linearModel());
    await push(stores, manifestText('bank-a'), linearModel());
    const post = async (path: string, body: unknown, as = key) => {
      const answer = await fetch(`http://${started.retrainer.httpAddress}/v1/${path}`, {
        method: path.startsWith('batch/schedules') ? 'PUT' : 'POST',
        headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const { reason = '' } = (await answer.json()) as { reason?: string };
      return answer.ok ? 'permitted' : reason;
    };
    const plan = (name: string, more = '') => post('plan', { manifest_yaml: manifestText(name, more) });
    const sql = (variable: string) =>
      `outcome: {from: {sql: {url_env: ${variable}, query: SELECT 1, watermark: at}}, join: [user]}\n`;
    expect(await plan('shop-a')).toBe('permitted');
    expect(await plan('bank-a')).toBe('model_not_in_scope');
    expect(await plan('shop-a', 'rollout: {fallback: bank-a}\n')).toBe('model_not_in_scope');
    expect(await plan('shop-a', 'pipeline: [{model: bank-a, version: 1, as: loan}]\n')).toBe(
      'model_not_in_scope',
    );
    expect(await plan('shop-a', sql('SHOP__BOOKINGS_URL'))).toBe('permitted');
    for (const variable of ['BANK__BOOKINGS_URL', 'SHOP_EU__BOOKINGS_URL', 'SHOP__EU__BOOKINGS_URL'])
      expect(await plan('shop-a', sql(variable)), variable).toBe('variable_not_in_project');

    const batch = (source: string, model = 'shop-a', as = key) =>
      post('batch/runs', { model, version: '1', source, sink: 's3://data/projects/shop/out/' }, as);
    expect(await batch('kafka:shop.asked')).toBe('permitted');
    expect(await batch('postgres:SHOP__DATA_URL/rows')).toBe('permitted');
    expect(await batch('s3://data/projects/shop/in/')).toBe('permitted');
    expect(await batch('kafka:shop.asked', 'bank-a')).toBe('model_not_in_scope');
    expect(await batch('kafka:bank.asked')).toBe('topic_not_in_project');
    expect(await batch('postgres:BANK__DATA_URL/rows')).toBe('variable_not_in_project');
    expect(await batch('s3://data/predictions/')).toBe('object_not_in_project');
    expect(await batch('s3://data/projects/shop/../bank/')).toBe('object_not_in_project');
    expect(await batch('/data/rows.csv')).toBe('file_not_allowed');
    expect(await batch('kafka:shop.asked', 'shop-a', limited.key)).toBe('whole_installation');
    expect(await batch('/data/rows.csv', 'shop-a', 'whole-key-0123456789')).toBe('permitted');

    const spec = { model: 'shop-a', source: 'kafka:shop.asked', sink: 'kafka:shop.told', every: '1h' };
    expect(await post('batch/schedules/nightly', { ...spec, sink: 'kafka:bank.told' })).toBe(
      'topic_not_in_project',
    );
    expect(await post('batch/schedules/nightly', spec)).toBe('permitted');
    const banks = { ...spec, model: 'bank-a' };
    expect(await post('batch/schedules/theirs', banks, 'whole-key-0123456789')).toBe('permitted');
    expect(await post('batch/schedules/theirs', spec)).toBe('model_not_in_scope');
  });
});

interface Route {
  readonly method: string;
  readonly path: string;
}

/** The routes of an HTTP server that need a key. */
async function routesOf(address: string): Promise<Route[]> {
  const { paths } = (await (await fetch(`http://${address}/openapi.json`)).json()) as {
    paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    path === '/v1/session'
      ? []
      : Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
}
