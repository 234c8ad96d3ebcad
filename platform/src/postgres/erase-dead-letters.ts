import { type Eraser, jsonTextsOf } from '../ports/erasure.ts';
import type { Queryable } from './pool.ts';

/** Erases dead letters that contain the id as a JSON value, or have it as their key. */
export function deadLetterEraser(database: Queryable): Eraser {
  return {
    what: 'deadLetters',
    async erase({ entity }) {
      const texts = jsonTextsOf(entity).map((text) => Buffer.from(text));
      const { rowCount } = await database.query(
        `DELETE FROM set_aside WHERE key = $2::bytea OR EXISTS (SELECT FROM unnest($1::bytea[]) AS theirs (text)
           WHERE position(text IN value) > 0 OR position(text IN coalesce(key, ''::bytea)) > 0
             OR position(text IN convert_to(headers::text, 'UTF8')) > 0)`,
        [texts, Buffer.from(entity.id)],
      );
      return rowCount ?? 0;
    },
  };
}
