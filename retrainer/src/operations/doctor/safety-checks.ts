import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ApiKeyStore } from '@hotloop/platform/auth/api-key-store.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { verifyLedger } from '../../ledger/ledger.ts';
import { type Checks, ill, well } from './check.ts';

const SOON_DAYS = 14;
const BACKUP_DAYS = 7;

/** Keys, certificates, the ledger and backups. */
export const SAFETY_CHECKS: Checks = {
  'API keys': async ({ pool }) => {
    const keys = (await new ApiKeyStore(pool).list()).filter(({ revoked }) => !revoked);
    const until = (days: number) =>
      keys
        .filter(
          ({ expiresAt }) => expiresAt !== undefined && expiresAt.getTime() - Date.now() < days * DAY_MS,
        )
        .map(({ subject, id }) => `${subject} (${id})`);
    const expired = until(0);
    const soon = until(SOON_DAYS).filter((key) => !expired.includes(key));
    const problems = [
      ...(soon.length === 0 ? [] : [`expire within ${SOON_DAYS} days: ${soon.join(', ')}`]),
      ...(expired.length === 0 ? [] : [`have expired and are not revoked: ${expired.join(', ')}`]),
    ];
    return problems.length === 0
      ? well(`${keys.length} in Postgres, none expires within ${SOON_DAYS} days`)
      : ill(
          problems.join('; '),
          '`hotloop keys rotate ID`, give the new key to its user, then `hotloop keys revoke ID`',
        );
  },
  certificate: async ({ certificate }) => {
    if (certificate === undefined) return well('connections are not encrypted by Hotloop (HOTLOOP_TLS_CERT)');
    const { validTo } = new X509Certificate(await readFile(certificate));
    const days = Math.floor((Date.parse(validTo) - Date.now()) / DAY_MS);
    return days >= SOON_DAYS
      ? well(`valid for ${days} days`)
      : ill(
          days < 0 ? 'has expired' : `expires in ${days} days`,
          'renew the file; services read it again within ten seconds',
        );
  },
  ledger: async ({ pool }) => {
    const { rows, broken } = await verifyLedger(pool);
    return broken === null
      ? well(`${rows} rows, unbroken`)
      : ill(
          `broken at row ${typeof broken === 'object' ? JSON.stringify(broken) : String(broken)}`,
          'it was changed with rights on the database: compare it with a backup',
        );
  },
  backup: async ({ pool }) => {
    const { rows } = await pool.query<{ days: number; models: boolean }>(
      `SELECT coalesce(extract(epoch FROM now() - max(at)) / 86400, -1)::float8 AS days, EXISTS (SELECT FROM model) AS models
       FROM ledger WHERE action = 'backup'`,
    );
    const { days = -1, models = false } = rows[0] ?? {};
    if (!models) return well('nothing to back up yet');
    if (days < 0)
      return well('none by `hotloop backup` so far; your provider may make them (docs/production.md)');
    return days <= BACKUP_DAYS
      ? well(`made ${days.toFixed(1)} days ago`)
      : ill(`the last one was made ${Math.floor(days)} days ago`, 'run `hotloop backup`');
  },
};
