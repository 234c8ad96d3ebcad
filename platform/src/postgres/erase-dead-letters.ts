import { type Eraser, jsonValue } from '../ports/erasure.ts';
import type { Queryable } from './pool.ts';

/** Erases messages that could not be read and hold the id as a JSON value or as their key. */
export function deadLetterEraser(database: Queryable): Eraser {
  return {
    what: 'deadLetters',
    async erase({ entity: { id } }) {
      const { rowCount } = await database.query(
        `DELETE FROM set_aside WHERE position($1::bytea IN value) > 0
           OR position($1::bytea IN coalesce(key, ''::bytea)) > 0 OR key = $2::bytea OR position($1 IN convert_to(headers::text, 'UTF8')) > 0`,
        [Buffer.from(jsonValue(id)), Buffer.from(id)],
      );
      return rowCount ?? 0;
    },
  };
}
