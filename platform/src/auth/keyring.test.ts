import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { openPool } from '../postgres/pool.ts';
import { createMigratedDatabase } from '../testing/test-services.ts';
import { ApiKeyStore } from './api-key-store.ts';
import { permit, permitModel, permitNamed, ROLES } from './authorization.ts';
import { keptKeys } from './kept-keys.ts';
import { openKeyring } from './keyring.ts';
import { ProjectStore } from './project-store.ts';

const log = silentLog();
const header = (key: string) => (name: string) => (name === 'x-api-key' ? key : undefined);

async function open(apiKeys: string | undefined = 'environment-key-01:ops:operate') {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createMigratedDatabase());
  const pool = stack.use(openPool(database.url, { max: 1, queryTimeoutMs: 5000, application: 'test', log }));
  const store = new ApiKeyStore(pool);
  const clock = { nowMs: Date.now() };
  const ring = stack.use(
    await openKeyring(store, log, { apiKeys, refreshMs: 60_000, now: () => clock.nowMs }),
  );
  return { pool, store, ring, clock, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('the keyring', () => {
  it('accepts keys of the environment and of the table, from their creation until they are revoked', async () => {
    await using opened = await open();
    const { store, ring, pool } = opened;
    expect((await ring.authenticate(header('environment-key-01'))).subject).toBe('ops');
    const { id, key } = await store.create({ subject: 'shop', roles: ['predict'] });
    expect(() => ring.authenticate(header(key))).toThrow('unknown API key');
    await ring.refresh();
    expect((await ring.authenticate(header(key))).subject).toBe('shop');
    const { rows } = await pool.query('SELECT * FROM api_key');
    expect(JSON.stringify(rows)).not.toContain(key);
    await store.revoke(id);
    await ring.refresh();
    expect(() => ring.authenticate(header(key))).toThrow('unknown API key');
    await expect(store.revoke('none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('limits a key to its models, its quota and its expiry', async () => {
    await using opened = await open();
    const { store, ring, clock } = opened;
    const { key } = await store.create({
      ...{ subject: 'shop', roles: ['predict'], models: ['ranker'], perSecond: 2 },
      expiresAt: new Date(clock.nowMs + 10_000),
    });
    await ring.refresh();
    const caller = await ring.authenticate(header(key));
    expect(() => permit(caller, 'other')).toThrow('may not access model other');
    permit(caller, 'ranker');
    await ring.refresh();
    permit(await ring.authenticate(header(key)), 'ranker');
    expect(() => permit(caller, 'ranker')).toThrow(expect.objectContaining({ reason: 'quota' }));
    clock.nowMs += 500;
    permit(caller, 'ranker');
    clock.nowMs += 10_000;
    expect(() => ring.authenticate(header(key))).toThrow('expired');
  });

  it('limits the keys of a project to its models and to one shared quota', async () => {
    await using opened = await open();
    const { store, ring, clock, pool } = opened;
    const projects = new ProjectStore(pool);
    await projects.put({ name: 'shop', perSecond: 2, maxModels: 3 });
    await expect(projects.put({ name: 'shop-eu' })).rejects.toMatchObject({ reason: 'invalid_project' });
    for (const ms of [Number.NaN, Date.UTC(10_001, 0)])
      await expect(
        store.create({ subject: 'a', roles: ['predict'], expiresAt: new Date(ms) }),
      ).rejects.toMatchObject({ reason: 'invalid_api_key' });
    await expect(store.create({ subject: 'a', roles: ['predict'], project: 'none' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const given = { roles: ['predict', 'operate'], project: 'shop' } as const;
    const [one, two] = [
      await store.create({ subject: 'one', ...given }),
      await store.create({ subject: 'two', ...given, models: ['shop-a', 'bank-a'] }),
    ];
    await ring.refresh();
    const [first, second] = await Promise.all(
      [one, two].map(async ({ key }) => ring.authenticate(header(key))),
    );
    if (!first || !second) throw new Error('both are known');
    permit(first, 'shop-ranker');
    permit(second, 'shop-a');
    expect(() => permit(first, 'shop-ranker')).toThrow(expect.objectContaining({ reason: 'quota' }));
    clock.nowMs += 1000;
    for (const model of ['bank-a', 'shop', 'shopping-a'])
      expect(() => permitModel(first, model), model).toThrow('may not access');
    expect(() => permitModel(second, 'shop-b')).toThrow('may not access');
    expect(() => permitModel(second, 'bank-a')).toThrow('may not access');
    permitNamed(first, 'predict', undefined);
    expect(() => permitNamed(first, 'operate', undefined)).toThrow(
      expect.objectContaining({ reason: 'whole_installation' }),
    );
    let kept: unknown = null;
    const file = {
      read: async () => kept,
      write(value: unknown) {
        kept = structuredClone(value);
      },
      written: async () => undefined,
    };
    await keptKeys(store, file).list();
    const away = { list: () => Promise.reject(new Error('Postgres is away')) };
    await using offline = await openKeyring(keptKeys(away, file), log, {
      apiKeys: 'environment-key-01:ops:operate',
    });
    const known = await offline.authenticate(header(one.key));
    permitModel(known, 'shop-ranker');
    expect(() => permitModel(known, 'bank-a')).toThrow('may not access');
    await expect(projects.remove('shop')).rejects.toMatchObject({ reason: 'project_in_use' });
    await projects.put({ name: 'bank' });
    await projects.remove('bank');
    expect(await projects.list()).toEqual([{ name: 'shop', perSecond: 2, maxModels: 3 }]);
  });

  it('rejects invalid keys', async () => {
    await using opened = await open();
    const { store } = opened;
    await expect(store.create({ subject: '', roles: ['predict'] })).rejects.toThrow('subject');
    await expect(store.create({ subject: 'a', roles: [] })).rejects.toThrow('roles');
    await expect(store.create({ subject: 'a', roles: ['predict'], perSecond: 0 })).rejects.toThrow('above 0');
  });

  it('allows every caller when the environment has no keys', async () => {
    await using opened = await open('');
    expect(opened.ring.required).toBe(false);
    expect((await opened.ring.authenticate(header('x'))).roles).toEqual(new Set(ROLES));
  });
});
