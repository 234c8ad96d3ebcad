import { type SqlToken, scanSql } from './sql-scan.ts';

/**
 * What Postgres has and DuckDB has not, as far as clients ask for it when they list tables and columns: psql's \d, JDBC's metadata,
 * SQLAlchemy and the BI tools that build on them.
 */

/** Postgres' number and name of a type, its name in full, and how DuckDB's catalog calls what is sent as it. */
const TYPES: readonly (readonly [oid: number, name: string, title: string, sentAs: readonly string[]])[] = [
  [16, 'bool', 'boolean', ['bool']],
  [17, 'bytea', 'bytea', ['bytea']],
  [20, 'int8', 'bigint', ['int8', 'uinteger']],
  [21, 'int2', 'smallint', ['int2', 'tinyint', 'utinyint']],
  [23, 'int4', 'integer', ['int4', 'usmallint']],
  [25, 'text', 'text', ['varchar']],
  [114, 'json', 'json', ['json']],
  [700, 'float4', 'real', ['float4']],
  [701, 'float8', 'double precision', ['float8']],
  [1043, 'varchar', 'character varying', []],
  [1082, 'date', 'date', ['date']],
  [1083, 'time', 'time without time zone', ['time']],
  [1114, 'timestamp', 'timestamp without time zone', ['timestamp']],
  [1184, 'timestamptz', 'timestamp with time zone', ['timestamptz']],
  [1186, 'interval', 'interval', ['interval']],
  [1700, 'numeric', 'numeric', ['numeric', 'decimal', 'ubigint', 'hugeint']],
  [2950, 'uuid', 'uuid', ['uuid']],
];

/** Macros by name with their parameters. Each answers as a Postgres with one user and no such objects would. */
const MACROS: Readonly<Record<string, readonly (readonly [parameters: string, value: string])[]>> = {
  version: [['', `'PostgreSQL 16.0 (Hotloop)'`]],
  pg_get_userbyid: [['o', `'hotloop'`]],
  pg_encoding_to_char: [['e', `'UTF8'`]],
  pg_get_function_result: [['o', `''`]],
  pg_get_function_arguments: [['o', `''`]],
  pg_get_function_identity_arguments: [['o', `''`]],
  pg_get_expr: [
    ['n, o', 'NULL::VARCHAR'],
    ['n, o, p', 'NULL::VARCHAR'],
  ],
  format_type: [
    [
      'o, m',
      `CASE o ${TYPES.map(([oid, , title]) => `WHEN ${oid} THEN '${title}'`).join(' ')} ELSE 'text' END`,
    ],
  ],
  pg_current_setting: [
    [
      'n',
      `CASE n WHEN 'default_table_access_method' THEN 'heap' WHEN 'server_version_num' THEN '160000' WHEN 'max_index_keys' THEN '32' END`,
    ],
  ],
  // Of a table without indexes, so it is never called with a value.
  _pg_expandarray: [['a', 'struct_pack(x := 0::BIGINT, n := 0::BIGINT)']],
  array_lower: [['a, d', '1']],
  array_upper: [['a, d', 'len(a)']],
  pg_get_indexdef: [
    ['o', 'NULL::VARCHAR'],
    ['o, c, p', 'NULL::VARCHAR'],
  ],
  pg_get_partkeydef: [['o', 'NULL::VARCHAR']],
  pg_get_ruledef: [['o', 'NULL::VARCHAR']],
  pg_get_triggerdef: [
    ['o', 'NULL::VARCHAR'],
    ['o, p', 'NULL::VARCHAR'],
  ],
  pg_get_serial_sequence: [['t, c', 'NULL::VARCHAR']],
  pg_get_statisticsobjdef_columns: [['o', 'NULL::VARCHAR']],
  pg_relation_is_publishable: [['o', 'false']],
  pg_relation_size: [['o', 'NULL::BIGINT']],
  pg_table_size: [['o', 'NULL::BIGINT']],
  pg_total_relation_size: [['o', 'NULL::BIGINT']],
  pg_tablespace_location: [['o', `''`]],
  pg_is_in_recovery: [['', 'false']],
  pg_backend_pid: [['', '0']],
  pg_relation_filenode: [['o', 'NULL::BIGINT']],
  to_regtype: [['t', 'NULL::BIGINT']],
  to_regclass: [
    ['t', `(SELECT max(oid) FROM pg_class WHERE relname = regexp_replace(CAST(t AS VARCHAR), '^.*[.]', ''))`],
  ],
  txid_current: [['', '0::BIGINT']],
  quote_ident: [['t', `'"' || replace(t, '"', '""') || '"'`]],
};

const BIGINT = 'BIGINT';
const TEXT = 'VARCHAR';
const FLAG = 'BOOLEAN';
/** Tables without rows, with the columns that clients read. */
const EMPTY_TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  pg_auth_members: { roleid: BIGINT, member: BIGINT },
  pg_event_trigger: { oid: BIGINT, evtname: TEXT },
  pg_extension: { oid: BIGINT, extname: TEXT, extversion: TEXT, extnamespace: BIGINT },
  pg_foreign_server: { oid: BIGINT, srvname: TEXT, srvfdw: BIGINT },
  pg_foreign_table: { ftrelid: BIGINT, ftserver: BIGINT, ftoptions: 'VARCHAR[]' },
  // Tables here have no indexes.
  pg_index: {
    ...{ indexrelid: BIGINT, indrelid: BIGINT, indnatts: BIGINT, indnkeyatts: BIGINT, indisunique: FLAG },
    ...{
      indisprimary: FLAG,
      indisexclusion: FLAG,
      indimmediate: FLAG,
      indisclustered: FLAG,
      indisvalid: FLAG,
    },
    ...{ indisready: FLAG, indislive: FLAG, indisreplident: FLAG, indnullsnotdistinct: FLAG },
    ...{ indkey: 'BIGINT[]', indcollation: 'BIGINT[]', indclass: 'BIGINT[]', indoption: 'BIGINT[]' },
    ...{ indexprs: TEXT, indpred: TEXT },
  },
  pg_opclass: { oid: BIGINT, opcname: TEXT, opcmethod: BIGINT, opcdefault: FLAG },
  pg_inherits: { inhrelid: BIGINT, inhparent: BIGINT, inhseqno: BIGINT, inhdetachpending: FLAG },
  pg_language: { oid: BIGINT, lanname: TEXT },
  pg_matviews: { schemaname: TEXT, matviewname: TEXT, matviewowner: TEXT, definition: TEXT },
  pg_partitioned_table: { partrelid: BIGINT, partstrat: TEXT, partdefid: BIGINT },
  pg_policies: { schemaname: TEXT, tablename: TEXT, policyname: TEXT },
  pg_policy: {
    ...{ polname: TEXT, polrelid: BIGINT, polcmd: TEXT, polpermissive: FLAG, polroles: 'BIGINT[]' },
    ...{ polqual: TEXT, polwithcheck: TEXT },
  },
  pg_publication: { oid: BIGINT, pubname: TEXT, puballtables: FLAG },
  pg_publication_namespace: { pnpubid: BIGINT, pnnspid: BIGINT },
  pg_publication_rel: { prpubid: BIGINT, prrelid: BIGINT, prqual: TEXT, prattrs: 'BIGINT[]' },
  pg_range: { rngtypid: BIGINT, rngsubtype: BIGINT },
  pg_rewrite: {
    oid: BIGINT,
    rulename: TEXT,
    ev_class: BIGINT,
    ev_type: TEXT,
    ev_enabled: TEXT,
    is_instead: FLAG,
  },
  pg_shdescription: { objoid: BIGINT, classoid: BIGINT, description: TEXT },
  pg_stat_user_tables: { relid: BIGINT, schemaname: TEXT, relname: TEXT, n_live_tup: BIGINT },
  pg_statistic_ext: {
    ...{ oid: BIGINT, stxrelid: BIGINT, stxname: TEXT, stxnamespace: BIGINT, stxkind: 'VARCHAR[]' },
    ...{ stxstattarget: BIGINT },
  },
  pg_trigger: {
    ...{
      oid: BIGINT,
      tgrelid: BIGINT,
      tgname: TEXT,
      tgenabled: TEXT,
      tgisinternal: FLAG,
      tgparentid: BIGINT,
    },
    ...{ tgconstraint: BIGINT, tgdeferrable: FLAG, tginitdeferred: FLAG },
  },
};

const ROLE = `(SELECT 10::BIGINT AS oid, 'hotloop' AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole,
  false AS rolcreatedb, true AS rolcanlogin, -1 AS rolconnlimit, NULL::TIMESTAMP AS rolvaliduntil, false AS rolreplication,
  false AS rolbypassrls, 'hotloop' AS usename, 10::BIGINT AS usesysid, false AS usesuper, 'hotloop' AS groname)`;
const PG_TYPE = `(SELECT oid::BIGINT AS oid, typname, (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog') AS typnamespace,
  10 AS typowner, -1 AS typlen, false AS typbyval, 'b' AS typtype, 'U' AS typcategory, false AS typispreferred, true AS typisdefined,
  ',' AS typdelim, 0::BIGINT AS typrelid, 0::BIGINT AS typelem, 0::BIGINT AS typarray, typname || 'in' AS typinput, false AS typnotnull,
  0::BIGINT AS typbasetype, -1 AS typtypmod, 0 AS typndims, 0 AS typcollation, NULL::VARCHAR AS typdefault
  FROM (VALUES ${TYPES.map(([oid, name]) => `(${oid}, '${name}')`).join(', ')}) v(oid, typname))`;
const PG_ATTRIBUTE = `(SELECT * REPLACE (CASE pg_catalog.format_type(atttypid, atttypmod)
  ${TYPES.flatMap(([oid, , , sentAs]) => sentAs.map((name) => `WHEN '${name}' THEN ${oid}`)).join(' ')} ELSE 25 END AS atttypid,
  -1 AS atttypmod) FROM pg_catalog.pg_attribute)`;
const PG_SETTINGS = `(SELECT * FROM pg_catalog.pg_settings UNION ALL BY NAME SELECT 'max_index_keys' AS name, '32' AS setting)`;
const TABLES: Readonly<Record<string, string>> = {
  pg_attribute: PG_ATTRIBUTE,
  pg_settings: PG_SETTINGS,
  pg_type: PG_TYPE,
  pg_roles: ROLE,
  pg_user: ROLE,
  pg_authid: ROLE,
  ...Object.fromEntries(
    Object.entries(EMPTY_TABLES).map(([name, columns]) => [
      name,
      `(SELECT ${Object.entries(columns)
        .map(([column, type]) => `NULL::${type} AS ${column}`)
        .join(', ')} WHERE false)`,
    ]),
  ),
};

/** Columns that tables of DuckDB's catalog lack, by table. */
const MISSING: Readonly<Record<string, string>> = {
  pg_class: 'false AS relforcerowsecurity',
  pg_collation: `'c' AS collprovider, true AS collisdeterministic, NULL::BIGINT AS collnamespace`,
  pg_database: `10 AS datdba, 6 AS encoding, 'C.UTF-8' AS datcollate, 'C.UTF-8' AS datctype, NULL::VARCHAR AS daticulocale,
    NULL::VARCHAR AS datlocale, NULL::VARCHAR AS daticurules, 'c' AS datlocprovider, NULL::VARCHAR[] AS datacl, -1 AS datconnlimit, 0 AS dattablespace`,
};

/** Names in a statement that say that it asks for the catalog. */
const CATALOG = /\b(pg_\w+|information_schema|regclass|json_build_object|current_setting)\b/i;
const LISTS = /\b(pg_class|pg_tables|pg_views|pg_attribute|information_schema)\b/i;

/** Whether a statement may list tables, so that all of them should be there. */
export const listsTables = (sql: string): boolean => LISTS.test(sql);

/** Statements that create the macros. */
export function catalogMacros(): string[] {
  return Object.entries(MACROS).map(([name, forms]) => {
    const bodies = forms.map(([parameters, value]) => `(${parameters}) AS ${value}`).join(', ');
    return `CREATE OR REPLACE MACRO ${name}${bodies}`;
  });
}

/** The statement with what only Postgres knows replaced by what DuckDB does. Pure; other statements are returned as they are. */
export function catalogForm(sql: string): string {
  if (!CATALOG.test(sql)) return sql;
  const tokens = scanSql(sql);
  let text = '';
  let end = 0;
  for (let at = 0; at < tokens.length; ) {
    const found = replacement(sql, tokens, at);
    if (found === undefined) {
      at++;
      continue;
    }
    text += sql.slice(end, tokens[at]?.start) + found.text;
    end = tokens[at + found.length - 1]?.end ?? sql.length;
    at += found.length;
  }
  return text + sql.slice(end);
}

function replacement(
  sql: string,
  tokens: readonly SqlToken[],
  at: number,
): { readonly text: string; readonly length: number } | undefined {
  const word = (offset: number) => {
    const token = tokens[at + offset];
    return token === undefined || token.kind === 'text' ? '' : token.text.toLowerCase();
  };
  const isQualified = word(0) === 'pg_catalog' && word(1) === '.';
  const name = isQualified ? word(2) : word(0);
  const length = isQualified ? 3 : 1;
  if (name === 'json_build_object' && word(length) === '(') return { text: 'json_object', length };
  if (word(0) === 'information_schema' && word(2) === '_pg_expandarray') return { text: word(2), length: 3 };
  if (name === 'current_setting' && word(length) === '(') return { text: 'pg_current_setting', length };
  // OPERATOR(pg_catalog.~)
  if (word(0) === 'operator' && word(1) === '(' && word(2) === 'pg_catalog') {
    let close = 4;
    while (word(close) !== ')' && word(close) !== '') close++;
    const operator = Array.from({ length: close - 4 }, (_, offset) => word(4 + offset)).join('');
    return { text: operator, length: close + 1 };
  }
  if (word(0) === 'collate' && word(1) === 'pg_catalog') return { text: '', length: 4 };
  // generate_series(...) s: in Postgres, s is also the name of its column.
  if (name === 'generate_series' && isQualified && word(3) === '(') {
    let [close, depth] = [3, 0];
    do {
      if (word(close) === '(') depth++;
      if (word(close) === ')') depth--;
    } while (depth > 0 && tokens[at + ++close] !== undefined);
    const alias = tokens[at + close + 1];
    const call = sql.slice(tokens[at + 2]?.start, tokens[at + close]?.end);
    if (alias?.kind === 'word' && !AFTER_A_TABLE.test(alias.text) && word(close + 2) !== '(')
      return { text: `${catalogForm(call)} AS ${alias.text}(${alias.text})`, length: close + 2 };
  }
  // 'name'::regclass is the table's number; anything else as regclass is shown by its name.
  if (tokens[at]?.kind === 'text' && word(1) === ':' && word(2) === ':') {
    const cast = word(3) === 'pg_catalog' ? 5 : 3;
    if (word(cast) === 'regclass') {
      const literal = (tokens[at]?.text ?? '').replace(/^'(?:pg_catalog\.|main\.)?"?([^"]*?)"?'$/, `'$1'`);
      return { text: `(SELECT max(oid) FROM pg_class WHERE relname = ${literal})`, length: cast + 1 };
    }
  }
  // CAST($1 AS regclass), $1::regclass
  if (word(0) === 'cast' && word(1) === '(' && word(2) === '$' && word(4) === 'as' && word(5) === 'regclass')
    return { text: `to_regclass($${word(3)})`, length: 7 };
  if (word(0) === '$' && word(2) === ':' && word(3) === ':') {
    const cast = word(4) === 'pg_catalog' ? 6 : 4;
    if (word(cast) === 'regclass') return { text: `to_regclass($${word(1)})`, length: cast + 1 };
  }
  const isCast = tokens[at - 1]?.text === ':' || tokens[at - 1]?.text.toLowerCase() === 'as';
  if (isCast && (name === 'regclass' || name === 'regtype' || name === 'regproc' || name === 'regnamespace'))
    return { text: 'VARCHAR', length };
  if (isCast && isQualified) return { text: name === '"char"' ? 'VARCHAR' : name, length };
  if (!isQualified && tokens[at - 1]?.text === '.') return undefined;
  // A column by all its names; its table may be one of those below.
  if (word(length) === '.') return isQualified ? { text: name, length } : undefined;
  if (name in TABLES && word(length) !== '(')
    return { text: `${TABLES[name]}${needsAlias(tokens, at + length) ? ` AS ${name}` : ''}`, length };
  if (name in MISSING && isSource(tokens, at))
    return {
      text: `(SELECT *, ${MISSING[name]} FROM pg_catalog.${name})${needsAlias(tokens, at + length) ? ` AS ${name}` : ''}`,
      length,
    };
  if (isQualified && word(3) === '(' && (name in MACROS || !name.startsWith('pg_')))
    return { text: name, length };
  return undefined;
}

/** Whether a table is read there, and not one of its columns. */
const isSource = (tokens: readonly SqlToken[], at: number): boolean =>
  /^(from|join|,)$/i.test(tokens[at - 1]?.text ?? '');

const AFTER_A_TABLE =
  /^(where|left|right|inner|outer|full|cross|join|on|using|order|group|limit|union|having|natural|[,)])$/i;

function needsAlias(tokens: readonly SqlToken[], at: number): boolean {
  const next = tokens[at];
  return next === undefined || AFTER_A_TABLE.test(next.text);
}
