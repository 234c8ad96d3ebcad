/** What the person reads who has installed the functions. */
export const INSTALL_NOTES =
  "hotloop.predict(model, row) is there; try: SELECT hotloop.predict('MODEL', to_jsonb(t)) FROM (SELECT 1 AS visits) t";

/** How many rows `hotloop.predict(model, jsonb[])` takes in one call, unless the installation says otherwise. */
export const DEFAULT_MAX_ROWS = 10_000;

interface InstallOptions {
  /** Undefined: a placeholder, for statements that are printed. */
  readonly key: string | undefined;
  /** Is granted the right to call the functions; without it only their owner has it. */
  readonly role?: string | undefined;
  readonly maxRows?: number;
}

/**
 * The statements that let an unmodified Postgres call a model: a schema, a dblink server, two functions. The key is kept by
 * Postgres in the user mapping, which only its owner reads, and never in a function's text.
 */
export function installStatements(
  endpoint: string,
  { key, role, maxRows = DEFAULT_MAX_ROWS }: InstallOptions,
): string {
  const split = endpoint.lastIndexOf(':');
  const [host, port] = [endpoint.slice(0, split), endpoint.slice(split + 1)].map(quoted);
  const password = quoted(key ?? 'unused');
  return `CREATE EXTENSION IF NOT EXISTS dblink;
CREATE SCHEMA IF NOT EXISTS hotloop;
DROP SERVER IF EXISTS hotloop CASCADE;
CREATE SERVER hotloop FOREIGN DATA WRAPPER dblink_fdw
  OPTIONS (host ${host}, port ${port}, dbname 'hotloop', connect_timeout '5');
CREATE USER MAPPING FOR CURRENT_USER SERVER hotloop OPTIONS (user 'hotloop', password ${password});
CREATE OR REPLACE FUNCTION hotloop.predict(model text, input jsonb) RETURNS double precision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT score FROM dblink('hotloop', format('SELECT predict(%L, %L)', model, input::text)) AS t(score double precision)
$$;
CREATE OR REPLACE FUNCTION hotloop.predict(model text, inputs jsonb[]) RETURNS double precision[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE scores double precision[];
BEGIN
  IF cardinality(inputs) > ${maxRows} THEN
    RAISE EXCEPTION 'hotloop.predict takes at most ${maxRows} rows in one call, not %', cardinality(inputs)
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Call it for slices of the array, or install it again with a larger --max-rows.';
  END IF;
  IF array_ndims(inputs) > 1 THEN
    RAISE EXCEPTION 'hotloop.predict takes an array of one dimension' USING ERRCODE = 'array_subscript_error';
  END IF;
  IF inputs IS NULL THEN RETURN NULL; END IF;
  IF cardinality(inputs) = 0 THEN RETURN '{}'; END IF;
  SELECT array_agg(score ORDER BY n) INTO scores FROM dblink('hotloop', format(
    'SELECT i, predict(%L, list[i]) FROM (SELECT CAST(CAST(%L AS JSON) AS JSON[]) AS list), range(1, %s) r(i)',
    model, to_jsonb(inputs)::text, cardinality(inputs) + 1)) AS t(n bigint, score double precision);
  RETURN scores;
END
$$;
REVOKE ALL ON FUNCTION hotloop.predict(text, jsonb), hotloop.predict(text, jsonb[]) FROM PUBLIC;${role === undefined ? '' : grants(role)}`;
}

function grants(role: string): string {
  const name = `"${role.replaceAll('"', '""')}"`;
  return `
GRANT USAGE ON SCHEMA hotloop TO ${name};
GRANT EXECUTE ON FUNCTION hotloop.predict(text, jsonb), hotloop.predict(text, jsonb[]) TO ${name};`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
