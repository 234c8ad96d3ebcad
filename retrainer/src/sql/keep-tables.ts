import { HotloopError } from '@hotloop/proto/errors.ts';
import { scanSql } from './sql-scan.ts';

/** What changes the thing that is named after it. */
const CHANGES =
  /(?:^| )(INSERT( OR \w+)? INTO|MERGE INTO|DELETE FROM|UPDATE|TRUNCATE|COPY|(CREATE|DROP|ALTER|TRUNCATE)( OR REPLACE)?( TEMP| TEMPORARY)? (TABLE|VIEW|MACRO|FUNCTION)( IF( NOT)? EXISTS)?) $/;
const FUNCTION = /^(predict|predict_label|predict_proba|explain)(_json)?$|^predict\w*:|^pg_\w+$/i;

/**
 * All sessions share the tables of the loop and the functions that call models. Throws PERMISSION_DENIED for a statement that would
 * change one of them.
 */
export function refuseChangingOurs(sql: string, tables: readonly string[]): void {
  const tokens = scanSql(sql).map(({ kind, text }) => (kind === 'quoted' ? text.slice(1, -1) : text));
  for (const [at, token] of tokens.entries()) {
    const name = token.toLowerCase();
    const isTable = tables.includes(name);
    if (!isTable && !FUNCTION.test(name)) continue;
    // Without the schema before it.
    let end = at;
    while (tokens[end - 1] === '.') end -= 2;
    const before = `${tokens
      .slice(Math.max(0, end - 8), end)
      .join(' ')
      .toUpperCase()} `;
    const isCopiedOut = tokens[at + 1]?.toUpperCase() === 'TO';
    if (CHANGES.test(before) && !isCopiedOut)
      throw new HotloopError(
        'PERMISSION_DENIED',
        `${name} is kept by Hotloop and shared by all sessions; make one of your own under another name`,
      );
  }
}
