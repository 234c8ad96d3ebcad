import { openSqlDatabase, type SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogForm, catalogMacros, listsTables } from './postgres-catalog.ts';

let connection: SqlConnection;
const opened = new AsyncDisposableStack();
beforeAll(async () => {
  connection = opened.use(
    await opened.use(await openSqlDatabase({ memoryMb: 128, threads: 1, files: false })).connect(),
  );
  for (const statement of catalogMacros()) await connection.run(statement);
  await connection.run('CREATE TABLE visits (id BIGINT, day TIMESTAMPTZ, plan VARCHAR)');
});
afterAll(() => opened.disposeAsync());

const ask = (sql: string) => connection.rows(catalogForm(sql));

// As psql 15, pgjdbc 42.7 and SQLAlchemy 2.1 ask.
const VISITS = `(SELECT c.oid FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname OPERATOR(pg_catalog.~) '^(visits)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid))`;

describe("clients' questions about the catalog", () => {
  it("are answered for psql's list of tables", async () => {
    const sql = `SELECT n.nspname as "Schema", c.relname as "Name", pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
      FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
      WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' ORDER BY 1,2`;
    expect(listsTables(sql)).toBe(true);
    expect(await ask(sql)).toEqual([{ Schema: 'main', Name: 'visits', Owner: 'hotloop' }]);
  });

  it("are answered for psql's columns of a table, with Postgres' names of types", async () => {
    const sql = `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
        (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
         WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) AS def,
        (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
         WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS coll
      FROM pg_catalog.pg_attribute a WHERE a.attrelid = ${VISITS} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;
    expect(await ask(sql)).toEqual([
      { attname: 'id', type: 'bigint', def: null, coll: null },
      { attname: 'day', type: 'timestamp with time zone', def: null, coll: null },
      { attname: 'plan', type: 'text', def: null, coll: null },
    ]);
  });

  it.each([
    `SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END
      FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '16387'`,
    `SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, 'd' = any(stxkind) AS d
      FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '16387'`,
    `SELECT pubname, (SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s,
        pg_catalog.pg_attribute WHERE attrelid = pr.prrelid AND attnum = prattrs[s])
      FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid`,
    `SELECT conname FROM pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n) WHERE con.conkey[pos.n] = 1`,
    `SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhparent AND i.inhrelid = '16387'`,
    `SELECT t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.oid = to_regtype('hstore')`,
    `SELECT pg_catalog.pg_constraint.conname FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_index ON pg_catalog.pg_constraint.conindid = pg_catalog.pg_index.indexrelid`,
  ])('have no rows where there is nothing of the kind: %s', async (sql) => {
    expect(await ask(sql)).toEqual([]);
  });

  it('are answered for the tables of JDBC and SQLAlchemy', async () => {
    const jdbc = `SELECT c.relname, d.description FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
      LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass)
      WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;
    expect(await ask(jdbc)).toEqual([{ relname: 'visits', description: null }]);
    const alchemy = `SELECT pg_catalog.pg_class.relname, CASE WHEN pg_catalog.pg_am.amname != current_setting('default_table_access_method') THEN 1 END AS method,
        pg_catalog.pg_class.relforcerowsecurity
      FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
      LEFT OUTER JOIN pg_catalog.pg_am ON pg_catalog.pg_class.relam = pg_catalog.pg_am.oid
      WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'`;
    expect(await ask(alchemy)).toMatchObject([{ relname: 'visits', relforcerowsecurity: false }]);
    expect(await ask('select pg_catalog.version() AS v')).toEqual([{ v: 'PostgreSQL 16.0 (Hotloop)' }]);
  });

  it('have the numbers of types that answers have, also where they are joined with the types', async () => {
    const sql = `SELECT a.attname, t.oid, t.typname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
      WHERE a.attrelid = 'visits'::regclass ORDER BY a.attnum`;
    expect(await ask(sql)).toEqual([
      { attname: 'id', oid: 20n, typname: 'int8' },
      { attname: 'day', oid: 1184n, typname: 'timestamptz' },
      { attname: 'plan', oid: 25n, typname: 'text' },
    ]);
    expect(await ask(`SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_index_keys'`)).toEqual([
      { setting: '32' },
    ]);
  });

  it('leave other statements, texts and comments as they are', () => {
    for (const sql of [
      'SELECT 1',
      `SELECT 'pg_catalog.pg_roles', "pg_roles", regclass FROM t -- pg_catalog.pg_roles`,
      'SELECT t.pg_roles, pg_roles(1) FROM t',
    ])
      expect(catalogForm(sql)).toBe(sql);
  });
});
