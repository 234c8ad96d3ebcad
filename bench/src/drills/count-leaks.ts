import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { type ArchivedEvent, eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { ParquetReader } from '@hotloop/platform/parquet/parquet-file.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';

const ROWS = 10_000;
const EVENTS = 60_000;
const USERS = 200;
const DAYS = 60;
const OWN_COLUMNS = 10;

export const LEAKS_MANIFEST = `name: leaks
features:
  - {name: visits, from: request.visits}
  - {name: views_1d, from: history.user.seen.count, window: 1d, missing: 0}
  - {name: spent_7d, from: history.user.paid.sum(price), window: 7d, missing: 0}
  - {name: mean_30d, from: history.user.paid.mean(price), window: 30d, missing: -1}
  - {name: least, from: history.user.paid.min(price), missing: -1}
  - {name: most, from: history.user.paid.max(price), missing: -1}
  - {name: shops, from: history.user.seen.distinct(shop), window: 7d, missing: 0}
  - {name: dear, from: history.user.paid.count, where: "event.price > 50.0", missing: 0}
  - {name: last, from: history.user.paid.last(2).price, missing: -1}
  - {name: since, from: history.user.seen.seconds_since, missing: -1}
`;

export interface LeaksTarget {
  /** URL of the control API. */
  readonly url: string;
  /** Folder of the store. */
  readonly store: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}

interface Past {
  readonly user: string;
  readonly atMs: number;
  readonly visits: number;
}

/**
 * Builds a training set of past labels from an archive in which a fifth of the events arrived late, and recomputes
 * every cell from the list of events alone. Counts the cells that differ: they used events that were not known yet,
 * or missed known ones.
 */
export async function countLeaks({
  url,
  store,
  folder,
  signal,
}: LeaksTarget): Promise<{ leaks: number; cells: number; rows: number }> {
  const startMs = Date.now() - (DAYS + 1) * DAY_MS;
  const random = new SeededRandom(11);
  const events = someEvents(random, startMs);
  const lines = join(folder, 'leaks.jsonl');
  await writeFile(lines, events.map(eventLine).join(''));
  await using archive = await openEventArchive(openObjectStore(store));
  await archive.addFile(lines);
  const past = Array.from(
    { length: ROWS },
    (_, index): Past => ({
      user: `u${Math.floor(random.uniform() * USERS)}`,
      atMs: Math.floor(startMs + random.uniform() * DAYS * DAY_MS),
      visits: index % 50,
    }),
  );
  const csv = past.map(
    ({ user, atMs, visits }, index) => `${user},${visits},${new Date(atMs).toISOString()},${index % 2}`,
  );
  const response = await fetch(`${url}/v1/models/leaks/datasets?label=label&at=at`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/octet-stream' }, signal },
    body: ['user,visits,at,label', ...csv].join('\n'),
  });
  if (!response.ok) throw new Error(`the training set was refused: ${await response.text()}`);
  const { sha256 } = (await response.json()) as { sha256: string };
  const file = await fetch(`${url}/v1/datasets/${sha256}/file`, { signal });
  const path = join(folder, 'leaks.parquet');
  await writeFile(path, Buffer.from(await file.arrayBuffer()));
  return compare(
    path,
    past,
    Map.groupBy(events, ({ entities }) => entities.user ?? ''),
  );
}

function someEvents(random: SeededRandom, startMs: number): ArchivedEvent[] {
  return Array.from({ length: EVENTS }, (_, index): ArchivedEvent => {
    const atMs = Math.floor(startMs + random.uniform() * DAYS * DAY_MS);
    const lateMs = random.uniform() < 0.2 ? random.uniform() * 10 * DAY_MS : random.uniform() * 1000;
    return {
      ...{ key: `k${index}`, type: index % 3 === 0 ? 'paid' : 'seen', atMs },
      arrivalUs: Math.floor((atMs + lateMs) * 1000),
      entities: { user: `u${Math.floor(random.uniform() * USERS)}` },
      fields: Object.assign(Object.create(null), {
        price: Math.round(random.uniform() * 100),
        shop: `s${index % 7}`,
      }),
    };
  });
}

async function compare(path: string, past: readonly Past[], events: ReadonlyMap<string, ArchivedEvent[]>) {
  await using reader = await ParquetReader.open(path);
  let leaks = 0;
  let cells = 0;
  for (let group = 0; group < reader.groups.length; group++) {
    const ids = await reader.read(group, 0);
    const columns: ArrayLike<unknown>[] = [];
    for (let column = OWN_COLUMNS; column < reader.columns.length; column++)
      columns.push(await reader.read(group, column));
    for (let row = 0; row < ids.length; row++) {
      // The header is line 1.
      const one = past[Number(String(ids[row]).replace('line ', '')) - 2];
      if (one === undefined) throw new Error(`the training set has a row that was not sent: ${ids[row]}`);
      const expected = bruteForce(one, events.get(one.user) ?? []);
      for (const [column, value] of expected.entries()) {
        cells++;
        const found = Number(columns[column]?.[row]);
        if (Math.abs(found - value) > 1e-6 * Math.max(1, Math.abs(value)) && found !== Math.fround(value))
          leaks++;
      }
    }
  }
  return { leaks, cells, rows: reader.rows };
}

/** The features of LEAKS_MANIFEST from the list of all events, without using the feature plan. */
function bruteForce({ atMs, visits }: Past, events: readonly ArchivedEvent[]): number[] {
  const known = (type: string, windowDays: number) =>
    events
      .filter((one) => one.type === type && one.atMs <= atMs && one.arrivalUs <= atMs * 1000)
      .filter((one) => one.atMs >= atMs - windowDays * DAY_MS)
      .sort((a, b) => b.atMs - a.atMs || b.arrivalUs - a.arrivalUs);
  const prices = (windowDays: number) => known('paid', windowDays).map(({ fields }) => Number(fields.price));
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const [newest] = known('seen', 90);
  const all = prices(90);
  const month = prices(30);
  return [
    visits,
    known('seen', 1).length,
    sum(prices(7)),
    month.length === 0 ? -1 : sum(month) / month.length,
    all.length === 0 ? -1 : Math.min(...all),
    all.length === 0 ? -1 : Math.max(...all),
    new Set(known('seen', 7).map(({ fields }) => fields.shop)).size,
    all.filter((price) => price > 50).length,
    all[0] ?? -1,
    all[1] ?? -1,
    newest === undefined ? -1 : (atMs - newest.atMs) / 1000,
  ];
}
