import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const FOLDER = new URL('./migrations/', import.meta.url);
/** The last file of release 0.1.0. Raise it with each release. */
const RELEASED = '0004';

const files = readdirSync(FOLDER)
  .sort()
  .map((name) => ({ name, sql: readFileSync(new URL(name, FOLDER), 'utf8') }));
const releasedTables = files
  .filter(({ name }) => name.slice(0, 4) <= RELEASED)
  .flatMap(({ sql }) =>
    [...sql.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(\w+)/g)].map(([, table]) => table ?? ''),
  );

/** Statements that break services of the release, or lock a large table while all its rows are read or written. */
function unsafe(sql: string, tables: readonly string[]): string[] {
  const statements = sql
    .replaceAll(/--.*$/gm, '')
    .split(/;(?=(?:[^$]|\$\$(?:(?!\$\$)[\s\S])*\$\$)*$)/)
    .map((statement) => statement.replaceAll(/\s+/g, ' ').trim());
  return statements.flatMap((statement) => {
    const [, table = ''] = /^(?:ALTER|DROP) TABLE (?:IF EXISTS )?(\w+)/.exec(statement) ?? [];
    if (!tables.includes(table)) return [];
    const actions = statement.split(/,(?![^(]*\))/);
    return actions.filter(
      (action) =>
        /^DROP TABLE|\bDROP COLUMN\b|\bRENAME\b|\bSET NOT NULL\b|\bALTER COLUMN \w+ (?:SET DATA )?TYPE\b/.test(
          action,
        ) ||
        (/\bADD COLUMN\b/.test(action) && /\bNOT NULL\b/.test(action) && !/\bDEFAULT\b/.test(action)) ||
        // A default that must be worked out for each row writes the whole table again.
        (/\bADD COLUMN\b/.test(action) &&
          /\bDEFAULT\b[^,]*\w\(/.test(action) &&
          !/DEFAULT now\(\)/.test(action)) ||
        (/\bADD CONSTRAINT\b/.test(action) && !/\bNOT VALID\b/.test(action)),
    );
  });
}

describe('migrations since the last release', () => {
  it('leave its tables usable for services of that release, and lock none for long', () => {
    expect(releasedTables).toContain('prediction');
    for (const { name, sql } of files)
      if (name.slice(0, 4) > RELEASED) expect(unsafe(sql, releasedTables), name).toEqual([]);
  });

  it.each([
    'ALTER TABLE model DROP COLUMN live_version',
    'ALTER TABLE model RENAME COLUMN live_version TO live',
    'ALTER TABLE model RENAME TO models',
    'DROP TABLE model',
    'ALTER TABLE model ADD COLUMN a int, ADD COLUMN owner text NOT NULL',
    'ALTER TABLE model ALTER COLUMN name TYPE varchar(10)',
    'ALTER TABLE model ALTER COLUMN live_version SET NOT NULL',
    'ALTER TABLE prediction ADD COLUMN x bigint DEFAULT (pg_current_xact_id()::text::bigint)',
    'ALTER TABLE prediction ADD CONSTRAINT few CHECK (rows < 10)',
  ])('must not contain: %s', (sql) => {
    expect(unsafe(`-- why\nSELECT 1; ${sql};`, releasedTables)).toHaveLength(1);
  });

  it('may add columns and create other tables', () => {
    const sql = "ALTER TABLE model ADD COLUMN note text NOT NULL DEFAULT ''; DROP TABLE rollout_event;";
    expect(unsafe(sql, releasedTables)).toEqual([]);
  });
});
