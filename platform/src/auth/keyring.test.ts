import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { openPool } from '../postgres/pool.ts';
import { createMigratedDatabase } from '../testing/test-services.ts';
import { ApiKeyStore } from './api-key-store.ts';
import { permit } from './authorization.ts';
import { openKeyring } from './keyring.ts';

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
  it('knows keys of the environment and of the table, as soon as they are made and until they are revoked', async () => {
    await using opened = await open();
    const { store, ring, pool } = opened;
    expect((await ring.authenticate(header('environment-key-01'))).subject).toBe('ops');
    const { id, key } = await store.create({ subject: 'shop', roles: ['predict'] });
    expect(() => ring.authenticate(header(key))).toThrow('not known');
    await ring.refresh();
    expect((await ring.authenticate(header(key))).subject).toBe('shop');
    const { rows } = await pool.query('SELECT * FROM api_key');
    expect(JSON.stringify(rows)).not.toContain(key);
    await store.revoke(id);
    await ring.refresh();
    expect(() => ring.authenticate(header(key))).toThrow('not known');
    await expect(store.revoke('none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('holds a key to its models, its quota and its time', async () => {
    await using opened = await open();
    const { store, ring, clock } = opened;
    const { key } = await store.create({
      ...{ subject: 'shop', roles: ['predict'], models: ['ranker'], perSecond: 2 },
      expiresAt: new Date(clock.nowMs + 10_000),
    });
    await ring.refresh();
    const caller = await ring.authenticate(header(key));
    expect(() => permit(caller, 'other')).toThrow('may not name model other');
    permit(caller, 'ranker');
    await ring.refresh();
    permit(await ring.authenticate(header(key)), 'ranker');
    expect(() => permit(caller, 'ranker')).toThrow(expect.objectContaining({ reason: 'quota' }));
    clock.nowMs += 500;
    permit(caller, 'ranker');
    clock.nowMs += 10_000;
    expect(() => ring.authenticate(header(key))).toThrow('expired');
  });

  it('refuses keys that make no sense', async () => {
    await using opened = await open();
    const { store } = opened;
    await expect(store.create({ subject: '', roles: ['predict'] })).rejects.toThrow('subject');
    await expect(store.create({ subject: 'a', roles: [] })).rejects.toThrow('roles');
    await expect(store.create({ subject: 'a', roles: ['predict'], perSecond: 0 })).rejects.toThrow('above 0');
  });

  it('lets anyone in without keys of the environment', async () => {
    await using opened = await open('');
    expect(opened.ring.required).toBe(false);
    expect((await opened.ring.authenticate(header('x'))).roles.size).toBe(3);
  });
});
