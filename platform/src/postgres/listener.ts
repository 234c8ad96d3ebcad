import pg from 'pg';
import type { Log } from '../log.ts';

export interface Listener {
  close(): Promise<void>;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;

/**
 * Listens on a Postgres channel over its own connection, which is reopened when it is lost. `onNotify` is called with
 * the payload of each notification, and without one after each opening, because notifications in between are lost. It
 * must not throw.
 */
export function listen(
  url: string,
  channel: string,
  onNotify: (payload?: string) => void,
  log: Log,
): Listener {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let closed = false;

  const open = async () => {
    const opening = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 2000,
      query_timeout: 2000,
      application_name: 'hotloop-listen',
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
    });
    client = opening;
    let lost = false;
    const lose = (error?: unknown) => {
      if (lost) return;
      lost = true;
      opening.removeListener('end', lose);
      void opening.end().catch(() => undefined);
      if (closed || client !== opening) return;
      if (failures === 0) log.warn({ error, channel }, 'the listening connection was lost');
      const wait = Math.min(FIRST_WAIT_MS * 2 ** failures++, LONGEST_WAIT_MS);
      timer = setTimeout(open, wait);
    };
    opening.on('error', lose);
    opening.on('end', lose);
    opening.on('notification', ({ payload }) => onNotify(payload ?? ''));
    try {
      await opening.connect();
      await opening.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      if (failures > 0) log.info({ channel }, 'the listening connection is back');
      failures = 0;
      onNotify();
    } catch (error) {
      lose(error);
    }
  };
  void open();

  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
