import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const MANIFEST = `name: bookings
features:
  - {name: nights, from: request.nights, missing: 1}
outcome:
  from: {sql: {url_env: BOOKINGS_URL, query: "SELECT id, guest AS user, state, changed FROM booking", watermark: changed, every: 1s}}
  join: [user]
  positive: "event.state == 'paid'"
  otherwise: 0
`;

interface Loop {
  readonly outcomes: number;
  readonly outcomesUnmatched: number;
  readonly sqlSource: { readonly outcomes: number; readonly error: string } | null;
}

const outcomesBySql: TourStep = {
  name: 'outcomes-by-sql',
  about: "Outcomes are read from a business database by the model's own query.",
  async run(context) {
    const { business, client, pool } = context;
    await context.write('bookings/model.yaml', MANIFEST);
    await context.json('model', 'push', 'bookings', '--promote');
    await context.until('a prediction', () =>
      client.predict('bookings', { user: 'guest-0', request: { nights: 2 } }),
    );
    await pool.query(`CREATE ROLE ${business.user} LOGIN PASSWORD '${business.password}'`);
    await pool.query(`CREATE DATABASE ${business.name} OWNER ${business.user}`);
    await using shop = openPool(business.url, {
      max: 1,
      queryTimeoutMs: 20_000,
      application: 'tour-shop',
      log: silentLog(),
    });
    await shop.query(
      'CREATE TABLE booking (id bigint, guest text, state text, changed timestamptz DEFAULT now())',
    );
    await shop.query(
      `INSERT INTO booking VALUES (1, 'guest-0', 'paid'), (2, 'guest-0', 'asked'), (3, 'nobody', 'paid')`,
    );
    const loop = await context.until('two outcomes by SQL, one of them matched', async () => {
      const state = await context.http<Loop>('retrainer', 'GET', '/v1/models/bookings/loop');
      return state.outcomes === 2 && state.outcomesUnmatched === 1 ? state : undefined;
    });
    expectThat(loop.sqlSource?.error === '', 'no error', loop.sqlSource?.error ?? 'no source');
    return 'two paid bookings read from the shop, one of a guest that was asked about';
  },
};

const correctionUpload: TourStep = {
  name: 'correction-upload',
  about:
    'An analyst exports predictions, fills in what is right, uploads the file, sees what it changes and approves it.',
  async run(context) {
    const file = await context.until('an exported prediction', async () => {
      await context.json('predictions', 'export', 'bookings', '-o', 'look.csv');
      const text = await readFile(join(context.folder, 'look.csv'), 'utf8');
      return text.trim().split('\r\n').length > 1 ? text.trim() : undefined;
    });
    const [head = '', first = ''] = file.split('\r\n');
    const corrected = await context.write('corrected.csv', `${head}\r\n${first.replace(/,,$/, ',0,')}\r\n`);
    const upload = await context.json<{ uploadId: string; accepted: number; preview: { changed: number } }>(
      'corrections',
      'upload',
      corrected,
      '--model',
      'bookings',
    );
    expectThat(upload.accepted === 1, 'one usable row', JSON.stringify(upload));
    const approved = await context.json<{ state: string; counts: { counts?: number } }>(
      'corrections',
      'approve',
      upload.uploadId,
    );
    expectThat(approved.counts.counts === 1, 'one correction that counts', JSON.stringify(approved));
    return 'one correction counts';
  },
};

export const DATA_STEPS: readonly TourStep[] = [outcomesBySql, correctionUpload];
