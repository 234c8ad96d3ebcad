import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { appendLedger, type LedgerAction } from '../ledger/ledger.ts';

/** Records an operator's action in the ledger; `detail` must not contain secrets. */
export async function recordAct(
  pool: Pool,
  action: LedgerAction,
  detail: Readonly<Record<string, unknown>>,
  now = Date.now(),
): Promise<void> {
  await transaction(pool, (client) =>
    appendLedger(client, { at: now, actor: 'operator', action, model: '', version: null, detail }),
  );
}
