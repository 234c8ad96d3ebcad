import type { LoggedInputs } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type Pool, type Queryable, transaction } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { joinedValues, LOGGED_INPUTS, loggedValues } from './logged-values.ts';
import { type LoggedOutputs, scoresOf } from './row-outputs.ts';
import { addCalls, type CallCount } from './sketches/call-store.ts';
import type { SketchLayout } from './sketches/feature-sketch.ts';
import { addRows, FeatureSketch, type FeatureSketches, sketchLayout } from './sketches/feature-sketch.ts';
import { addToSpan, SPANS } from './sketches/sketch-store.ts';
import { TextHashes } from './sketches/text-hashes.ts';
import { type SlicesOfRow, slicesOfRows } from './slices.ts';

/** Names of summaries other than features. No feature can have such a name. */
export const SCORE = '$score';
export const QUEUE_US = '$queue_us';
export const RUN_US = '$run_us';
/** A hash of each row: the number of distinct hashes shows how many rows are duplicates. */
export const ROW = '$row';

interface CountedCalls {
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  readonly caller: string;
  readonly minute_ms: string;
  readonly error_code: string | null;
  readonly is_degraded: boolean;
  readonly calls: number;
}

interface LoggedRow extends LoggedOutputs, LoggedInputs {
  readonly at_ms: string;
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  readonly statuses: Buffer | null;
  readonly queue_us: number;
  readonly run_us: number;
  readonly error_code: string | null;
}

// Input: last position, how many rows at most. Output: the position to read up to, which no open transaction can write below.
const BOUND = `
  SELECT coalesce(
    (SELECT ingested FROM prediction WHERE ingested > $1 AND ingested < edge.xmin
     ORDER BY ingested OFFSET $2 LIMIT 1),
    edge.xmin - 1) AS upper,
    edge.xmin - 1 AS newest
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) edge`;

// Input: positions. Output: counts of all calls between them; inputs and outputs are not read.
const CALLS = `
  SELECT model, version, variant, caller, extract(epoch FROM date_trunc('minute', at)) * 1000 AS minute_ms,
         error_code, degraded <> '{}' AS is_degraded, count(*)::integer AS calls
  FROM prediction WHERE ingested > $1 AND ingested <= $2
  GROUP BY 1, 2, 3, 4, 5, 6, 7`;

// Input: positions; arrays of models, versions and sampling rates (out of 65536 rows). Output: the sampled rows.
const ROWS = `
  SELECT extract(epoch FROM at) * 1000 AS at_ms, model, version, variant, statuses, outputs, output_spec, queue_us, run_us,
         error_code, ${LOGGED_INPUTS}
  FROM prediction JOIN unnest($3::text[], $4::integer[], $5::integer[]) AS share (model, version, parts) USING (model, version)
  WHERE ingested > $1 AND ingested <= $2 AND variant <> 'shadow' AND (uuid_hash(prediction_id) & 65535) < parts`;

const PARTS = 65_536;
const ROWS_AT_ONCE = 50_000;
const FETCH = 1_000;
/**
 * Rows of one version whose values are summarised, of those that are read at once: every few seconds, so that this is about a
 * thousand a second. Of more, a random part is: their distributions are known well by then, and reading all takes processor
 * time from serving. Calls and errors are always counted in full.
 */
const SUMMARISED_AT_ONCE = 5_000;
/** Distinct callers counted per minute; further callers are counted as `other`. */
const MAX_CALLERS = 50;
/** Features are summarised for rows up to this width; wider rows cost too much processor time. */
export const MAX_COLUMNS = 20_000;

export interface Collected {
  readonly rows: number;
  /** Whether more rows are waiting. */
  readonly more: boolean;
}

/**
 * Adds the rows that were logged since the last time to the summaries and moves the position, in one transaction: a monitor
 * that is killed has added all of them or none, and of several monitors one works while the others find it locked.
 */
export async function collectLoggedRows(
  pool: Pool,
  registry: RegistryReader,
  now: number,
  rowsAtOnce = ROWS_AT_ONCE,
  summarisedAtOnce = SUMMARISED_AT_ONCE,
): Promise<Collected> {
  return transaction(pool, async (client) => {
    const held = await client.query<{ ingested: string }>(
      'SELECT ingested FROM monitor_position FOR UPDATE SKIP LOCKED',
    );
    const from = held.rows[0]?.ingested;
    if (from === undefined) return { rows: 0, more: false };
    const bound = await client.query<{ upper: string; newest: string }>(BOUND, [from, rowsAtOnce]);
    const { upper, newest } = bound.rows[0]!;
    const summary = new Summary(registry);
    const isAny = BigInt(upper) > BigInt(from);
    const rows = isAny ? await readInto(client, summary, { from, upper, summarisedAtOnce }) : 0;
    await summary.write(client);
    const isNewest = upper === newest;
    await client.query(
      `UPDATE monitor_position SET ingested = $1, heartbeat_at = to_timestamp($2 / 1000.0),
         read_to = CASE WHEN $3 THEN to_timestamp($2 / 1000.0) ELSE read_to END`,
      // A server restored from a dump starts counting its transactions from the beginning.
      [upper, now, isNewest],
    );
    return { rows, more: !isNewest };
  });
}

/** @returns how many rows were logged between the positions. */
async function readInto(
  client: Queryable,
  summary: Summary,
  { from, upper, summarisedAtOnce }: { from: string; upper: string; summarisedAtOnce: number },
): Promise<number> {
  const { rows: counted } = await client.query<CountedCalls>(CALLS, [from, upper]);
  const rowsOf = new Map<string, { model: string; version: number; rows: number }>();
  let count = 0;
  for (const calls of counted) {
    count += calls.calls;
    summary.count(calls);
    const { model, version } = calls;
    const known = rowsOf.get(`${model} ${version}`) ?? { model, version, rows: 0 };
    known.rows += calls.calls;
    rowsOf.set(`${model} ${version}`, known);
  }
  const versions = [...rowsOf.values()].filter(({ model, version }) => summary.summarises(model, version));
  if (versions.length === 0) return count;
  const parts = versions.map(({ rows }) => Math.min(PARTS, Math.ceil((PARTS * summarisedAtOnce) / rows)));
  versions.forEach(({ model, version }, at) => {
    if ((parts[at] as number) < PARTS) summary.seesPartOf(model, version);
  });
  await client.query(`DECLARE logged NO SCROLL CURSOR FOR ${ROWS}`, [
    ...[from, upper],
    versions.map(({ model }) => model),
    versions.map(({ version }) => version),
    parts,
  ]);
  for (;;) {
    const { rows } = await client.query<LoggedRow>(`FETCH ${FETCH} FROM logged`);
    for (const row of rows) summary.add(row);
    summary.flush();
    if (rows.length < FETCH) break;
  }
  await client.query('CLOSE logged');
  return count;
}

interface Layout {
  readonly layout: SketchLayout;
  readonly slicesOf: SlicesOfRow | null;
}

interface Group extends Layout {
  readonly model: string;
  readonly version: number;
  /** Empty for all rows. */
  readonly slice: string;
  readonly manifest: Manifest;
  readonly at: number;
  readonly sketches: FeatureSketches;
  features: Float32Array[];
  statuses: Uint8Array[];
  rows: number;
  scores: number[];
  queue: number[];
  run: number[];
}

/** The summaries of the rows read in one transaction. */
class Summary {
  readonly #registry: RegistryReader;
  readonly #groups = new Map<string, Group>();
  readonly #calls = new Map<string, CallCount>();
  readonly #callers = new Map<string, Set<string>>();
  readonly #layouts = new Map<string, Layout>();
  readonly #partial = new Set<string>();

  constructor(registry: RegistryReader) {
    this.#registry = registry;
  }

  /** Whether values of the version's rows are summarised; its calls always are. */
  summarises(model: string, version: number): boolean {
    return this.#manifestOf(model, version)?.monitor.enabled === true;
  }

  /** A sample of rows does not show how many rows are duplicates. */
  seesPartOf(model: string, version: number): void {
    this.#partial.add(`${model} ${version}`);
  }

  add(row: LoggedRow): void {
    const at = Number(row.at_ms);
    const manifest = this.#manifestOf(row.model, row.version);
    if (!manifest?.monitor.enabled) return;
    const startsAt = Math.floor(at / 1000 / SPANS.recent) * SPANS.recent * 1000;
    const group = this.#groupOf(row, manifest, startsAt, '');
    group.queue.push(row.queue_us);
    group.run.push(row.run_us);
    if (row.error_code !== null) return;
    const { layout, slicesOf } = group;
    const scores = scoresOf(row, manifest);
    for (const score of scores) group.scores.push(score);
    const values = layout.width > MAX_COLUMNS ? null : loggedValues(row, layout, TEXTS);
    if (!values) return;
    const width = layout.features.length;
    const wanted = row.rows * width;
    const statuses = row.statuses?.length === wanted ? new Uint8Array(row.statuses) : new Uint8Array(wanted);
    addBlock(group, values, statuses, row.rows);
    if (!slicesOf) return;
    for (let at = 0; at < row.rows; at++)
      for (const slice of slicesOf(values, at * layout.width)) {
        const part = this.#groupOf(row, manifest, startsAt, slice);
        const own = values.subarray(at * layout.width, (at + 1) * layout.width);
        addBlock(part, own, statuses.subarray(at * width, (at + 1) * width), 1);
        const score = scores[at];
        if (score !== undefined) part.scores.push(score);
      }
  }

  /** Moves the gathered values into the sketches, column by column. */
  flush(): void {
    for (const group of this.#groups.values()) {
      const { layout, sketches } = group;
      if (group.rows > 0) {
        const features = joinedValues(group.features);
        const statuses = new Uint8Array(group.rows * layout.features.length);
        let offset = 0;
        for (const part of group.statuses) {
          statuses.set(part, offset);
          offset += part.length;
        }
        addRows(sketches, layout, { rows: group.rows, columns: layout.width, features, statuses });
        if (group.slice === '' && !this.#partial.has(`${group.model} ${group.version}`))
          numbers(sketches, ROW, rowHashes(features, group.rows, layout.width));
      }
      numbers(sketches, SCORE, Float32Array.from(group.scores));
      numbers(sketches, QUEUE_US, Float32Array.from(group.queue));
      numbers(sketches, RUN_US, Float32Array.from(group.run));
      Object.assign(group, { features: [], statuses: [], rows: 0, scores: [], queue: [], run: [] });
    }
  }

  async write(client: Queryable): Promise<void> {
    const hours = new Map<string, Group>();
    for (const group of this.#groups.values()) {
      if (group.slice === '') await addToSpan(client, { ...group, span: SPANS.recent }, group.sketches);
      const at = Math.floor(group.at / 3_600_000) * 3_600_000;
      const key = JSON.stringify([group.model, group.version, group.slice, at]);
      const hour = hours.get(key);
      if (hour) mergeAll(hour.sketches, group.sketches);
      else hours.set(key, { ...group, at });
    }
    for (const hour of hours.values()) await addToSpan(client, { ...hour, span: SPANS.hour }, hour.sketches);
    await addCalls(client, [...this.#calls.values()]);
  }

  #groupOf(row: LoggedRow, manifest: Manifest, at: number, slice: string): Group {
    const key = `${row.model} ${row.version} ${at} ${slice}`;
    let group = this.#groups.get(key);
    if (!group) {
      const version = `${row.model} ${row.version}`;
      const known = this.#layouts.get(version) ?? layoutOf(manifest);
      this.#layouts.set(version, known);
      group = {
        ...{ model: row.model, version: row.version, slice, ...known, manifest, at, sketches: new Map() },
        ...{ features: [], statuses: [], rows: 0, scores: [], queue: [], run: [] },
      };
      this.#groups.set(key, group);
    }
    return group;
  }

  count(counted: CountedCalls): void {
    const { model, version, variant } = counted;
    const minute = Number(counted.minute_ms);
    const callers = this.#callers.get(model) ?? new Set();
    this.#callers.set(model, callers);
    if (callers.size < MAX_CALLERS) callers.add(counted.caller);
    const caller = callers.has(counted.caller) ? counted.caller : 'other';
    const key = JSON.stringify([model, version, variant, caller, minute]);
    let count = this.#calls.get(key);
    if (!count) {
      count = { model, version, variant, caller, minute, calls: 0, errors: 0, degraded: 0, codes: {} };
      this.#calls.set(key, count);
    }
    const { calls, error_code: code } = counted;
    count.calls += calls;
    if (counted.is_degraded) count.degraded += calls;
    if (code === null) return;
    count.errors += calls;
    count.codes[code] = (count.codes[code] ?? 0) + calls;
  }

  #manifestOf(model: string, version: number): Manifest | undefined {
    return this.#registry.current().models.get(model)?.versions.get(version)?.manifest;
  }
}

const TEXTS = new TextHashes();

function layoutOf(manifest: Manifest): Layout {
  const layout = sketchLayout(manifest);
  return { layout, slicesOf: slicesOfRows(manifest, layout) };
}

function addBlock(group: Group, features: Float32Array, statuses: Uint8Array, rows: number): void {
  group.features.push(features);
  group.statuses.push(statuses);
  group.rows += rows;
}

function numbers(sketches: FeatureSketches, name: string, values: Float32Array): void {
  if (values.length === 0) return;
  let sketch = sketches.get(name);
  if (!sketch) {
    sketch = new FeatureSketch('number', 1);
    sketches.set(name, sketch);
  }
  sketch.rows += values.length;
  sketch.statuses[0]! += values.length;
  sketch.values.addColumn(values);
}

function mergeAll(into: FeatureSketches, from: FeatureSketches): void {
  for (const [name, sketch] of from) {
    const known = into.get(name);
    if (known) known.merge(sketch);
    else into.set(name, sketch);
  }
}

/** FNV-1a over each row's bits, as 24-bit numbers, which float32 holds exactly. */
function rowHashes(features: Float32Array, rows: number, width: number): Float32Array {
  const bits = new Uint32Array(features.buffer, features.byteOffset, features.length);
  const hashes = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let hash = 0x811c9dc5;
    for (let column = 0; column < width; column++)
      hash = Math.imul(hash ^ bits[row * width + column]!, 0x01000193);
    hashes[row] = (hash ^ (hash >>> 15)) & 0xffffff;
  }
  return hashes;
}
