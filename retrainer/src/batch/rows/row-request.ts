import { compileFeatures } from '@hotloop/model/features/compile-feature.ts';
import { parseExcludeSource } from '@hotloop/model/features/exclude-source.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { stepFields } from '@hotloop/model/manifest/pipeline-schema.ts';
import type { Attributes, AttributeValue } from '@hotloop/model/value.ts';
import type { SqlColumn } from '@hotloop/platform/duckdb/sql-database.ts';
import { schemaMismatch } from '../source-columns.ts';

/** One row of a source as a request of the front door. */
export interface RowRequest {
  readonly row: number;
  /** Of a prediction that was answered elsewhere and is logged now; empty: it follows from the run. */
  readonly predictionId: string;
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string; readonly attributes: Attributes }[];
}

/** Which columns of a source a model reads when each row becomes a request. */
export interface RowColumns {
  /** Columns of `request.NAME`, with the type that a text file's column is read as. */
  readonly request: ReadonlyMap<string, { readonly type: string; readonly isRequired: boolean }>;
  /** Columns that say whose history or row of a table is read: `user`. */
  readonly entities: readonly string[];
  /** For task ranking: the column `candidates`, a list of ids or of objects with an `id`, or such a list as JSON. */
  readonly candidates: boolean;
  /** Rows hold images, so that many at once would not fit into memory. */
  readonly images: boolean;
}

export const CANDIDATES = 'candidates';
export const PREDICTION_ID = 'prediction_id';

/** DuckDB's types of what features take. */
const TYPES = { number: 'DOUBLE', text: 'VARCHAR', flag: 'BOOLEAN', image: 'VARCHAR' } as const;

/** @param columns names of the source: where other models are asked first, all of them are fields of the request. */
export function rowColumnsOf(manifest: Manifest, columns: readonly string[] = []): RowColumns {
  const isRanking = manifest.task === 'ranking';
  const request = new Map<string, { type: string; isRequired: boolean }>();
  const entities = new Set<string>();
  let images = false;
  for (const feature of compileFeatures(manifest.features, isRanking)) {
    const [kind = '', name = ''] = feature.from.split('.');
    images ||= feature.image !== undefined;
    if (kind === 'request') {
      const type = feature.type in TYPES ? TYPES[feature.type as keyof typeof TYPES] : '';
      const isRequired = feature.missing === undefined && !feature.takesNaN;
      request.set(name, { type, isRequired: isRequired || (request.get(name)?.isRequired ?? false) });
    } else if (kind === 'entity') entities.add(name);
    const read = feature.source.history?.entity ?? feature.source.reference?.entity;
    if (read !== undefined) entities.add(read);
  }
  for (const [, name = ''] of (manifest.decision.combine ?? '').matchAll(/\brequest\.(\w+)/g))
    if (!request.has(name)) request.set(name, { type: '', isRequired: false });
  const excluded = parseExcludeSource(manifest.decision.rank?.exclude ?? '');
  if (excluded) entities.add(excluded.entity);
  if (isRanking) entities.delete('item');
  if (manifest.pipeline) {
    for (const { as } of manifest.pipeline) for (const field of stepFields(as)) request.delete(field);
    for (const name of columns)
      if (!request.has(name) && !entities.has(name) && name !== CANDIDATES && name !== PREDICTION_ID)
        request.set(name, { type: '', isRequired: false });
  }
  return { request, entities: [...entities], candidates: isRanking, images };
}

/** Throws INVALID_ARGUMENT `schema_mismatch` that lists every column that is missing. */
export function checkRowColumns(model: string, wanted: RowColumns, columns: readonly SqlColumn[]): void {
  const has = (name: string) => columns.some((column) => column.name === name);
  const problems = [...wanted.request].flatMap(([name, { isRequired }]) =>
    isRequired && !has(name) ? [`${name} is missing and the model declares no missing value for it`] : [],
  );
  for (const entity of wanted.entities)
    if (!has(entity)) problems.push(`${entity} is missing: it says whose history or reference row is read`);
  if (wanted.candidates && !has(CANDIDATES))
    problems.push(`${CANDIDATES} is missing: a list of {id, ...} for each row, which the model ranks`);
  if (problems.length > 0) throw schemaMismatch(model, problems, columns);
}

/** Null is absent. What is no value of a request, such as a date, becomes its text; the bytes of an image their base64. */
export function rowRequestOf(row: Readonly<Record<string, unknown>>, wanted: RowColumns): RowRequest {
  const request = bare();
  for (const name of wanted.request.keys()) {
    const value = attributeOf(row[name]);
    if (value !== undefined) request[name] = value;
  }
  const entities = Object.create(null) as Record<string, string>;
  for (const entity of wanted.entities) {
    const id = row[entity];
    if (id !== null && id !== undefined) entities[entity] = String(id);
  }
  const candidates = wanted.candidates ? candidatesOf(row[CANDIDATES]) : [];
  const predictionId = String(row[PREDICTION_ID] ?? '');
  return { row: Number(row.row), predictionId, request, entities, candidates };
}

function candidatesOf(given: unknown): RowRequest['candidates'] {
  let list = given;
  if (typeof given === 'string') {
    try {
      list = JSON.parse(given);
    } catch {
      list = [given];
    }
  }
  if (!Array.isArray(list)) return [];
  return list.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return { id: String(entry), attributes: bare() };
    const { id, attributes, ...rest } = entry as Record<string, unknown>;
    const fields = typeof attributes === 'object' && attributes !== null ? attributes : rest;
    const found = bare();
    for (const [name, field] of Object.entries(fields)) {
      const value = attributeOf(field);
      if (value !== undefined) found[name] = value;
    }
    return { id: String(id ?? ''), attributes: found };
  });
}

function attributeOf(value: unknown): AttributeValue | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value))
    return value.map((entry) => (typeof entry === 'bigint' ? Number(entry) : entry)) as AttributeValue;
  return String(value);
}

function bare(): Record<string, AttributeValue> {
  return Object.create(null) as Record<string, AttributeValue>;
}
