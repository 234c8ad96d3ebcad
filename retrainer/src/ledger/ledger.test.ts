import { transaction } from '@hotloop/platform/postgres/pool.ts';
import { describe, expect, it } from 'vitest';
import { openStores, type Stores } from '../testing/fixture.ts';
import { appendLedger, LEDGER_GENESIS, type LedgerEntry, verifyLedger } from './ledger.ts';

const entry = (change: Partial<LedgerEntry> = {}): LedgerEntry => ({
  at: 1_700_000_000_123,
  actor: 'ada',
  action: 'promote',
  model: 'm',
  version: 1,
  detail: { from_version: null, nested: { b: 0.1, a: [1e21, 'ü', true] } },
  ...change,
});

async function write(stores: Stores, count: number): Promise<void> {
  for (let index = 0; index < count; index++)
    await transaction(stores.pool, (client) => appendLedger(client, entry({ version: index + 1 })));
}

describe('the ledger', () => {
  it('is valid when every row follows from the one before', async () => {
    await using stores = await openStores();
    expect(await verifyLedger(stores.pool)).toEqual({ rows: 0, broken: null, head: LEDGER_GENESIS });
    await write(stores, 5);
    const verdict = await verifyLedger(stores.pool);
    expect(verdict).toMatchObject({ rows: 5, broken: null });
    expect(verdict.head).toMatch(/^[0-9a-f]{64}$/);
  });

  it('stays valid when a name contains half of a surrogate pair', async () => {
    await using stores = await openStores();
    for (const actor of ['\ud83d', 'ada \u{1f600}'.slice(0, 5)])
      await transaction(stores.pool, (client) => appendLedger(client, entry({ actor })));
    expect(await verifyLedger(stores.pool)).toMatchObject({ rows: 2, broken: null });
  });

  it('finds a planted change at any position', async () => {
    await using stores = await openStores();
    await write(stores, 5);
    const plant = async (change: string) => {
      const client = await stores.pool.connect();
      try {
        await client.query('BEGIN');
        // Past the trigger, as an intruder with all rights would go.
        await client.query('SET LOCAL session_replication_role = replica');
        await client.query(change);
        return await verifyLedger(client);
      } finally {
        await client.query('ROLLBACK');
        client.release();
      }
    };
    const changes = {
      "UPDATE ledger SET actor = 'eve' WHERE sequence = 3": 3,
      "UPDATE ledger SET at = at + interval '1 millisecond' WHERE sequence = 1": 1,
      "UPDATE ledger SET action = 'rollback' WHERE sequence = 2": 2,
      "UPDATE ledger SET model = 'n' WHERE sequence = 5": 5,
      'UPDATE ledger SET version = NULL WHERE sequence = 4': 4,
      'UPDATE ledger SET detail = detail || \'{"x": 1}\' WHERE sequence = 3': 3,
      'UPDATE ledger SET previous_hash = hash WHERE sequence = 2': 2,
      "UPDATE ledger SET hash = repeat('0', 64) WHERE sequence = 5": 5,
      'DELETE FROM ledger WHERE sequence = 2': 3,
      'DELETE FROM ledger WHERE sequence = 1': 2,
      'UPDATE ledger SET sequence = sequence + 10 WHERE sequence = 5': 15,
    };
    for (const [change, sequence] of Object.entries(changes))
      expect((await plant(change)).broken, change).toMatchObject({ sequence });
    // Cut off at the end, the chain is whole; the head kept elsewhere tells.
    const whole = await verifyLedger(stores.pool);
    const cut = await plant('DELETE FROM ledger WHERE sequence = 5');
    expect(cut.broken).toBeNull();
    expect(cut.head).not.toBe(whole.head);
    await expect(stores.pool.query("UPDATE ledger SET actor = 'eve'")).rejects.toThrow(/append-only/);
    await expect(stores.pool.query('DELETE FROM ledger')).rejects.toThrow(/append-only/);
    await expect(stores.pool.query('TRUNCATE ledger')).rejects.toThrow(/append-only/);
  });

  it('keeps one chain with concurrent writers', async () => {
    await using stores = await openStores();
    await Promise.all(Array.from({ length: 20 }, () => write(stores, 1)));
    expect(await verifyLedger(stores.pool)).toMatchObject({ rows: 20, broken: null });
  });

  it('writes nothing when its transaction is rolled back', async () => {
    await using stores = await openStores();
    const failing = transaction(stores.pool, async (client) => {
      await appendLedger(client, entry());
      throw new Error('the flip failed');
    });
    await expect(failing).rejects.toThrow('the flip failed');
    expect(await verifyLedger(stores.pool)).toMatchObject({ rows: 0, broken: null });
  });
});
