import type { Datatype } from '@hotloop/model/tensor.ts';
import { type Entity, type Eraser, isDistinctive } from '@hotloop/platform/ports/erasure.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';

const PAGE = 500;

/**
 * Predictions for an entity, predictions in which it was a candidate, and predictions with a text input that equals its
 * id (contains it, if the id is distinctive). Reads the whole log.
 */
export async function findPredictionsOf(database: Queryable, entity: Entity): Promise<string[]> {
  const { kind, id } = entity;
  try {
    const { rows } = await database.query<{ prediction_id: string }>(
      `SELECT prediction_id FROM prediction WHERE entities @> jsonb_build_object($1::text, $2::text)
         OR ($1 = 'item' AND $2 = ANY(candidates))`,
      [kind, id],
    );
    const found = new Set(rows.map((row) => row.prediction_id));
    for await (const one of predictionsWithText(database, id)) found.add(one);
    return [...found];
  } catch (error) {
    throw fromPostgresError(error);
  }
}

async function* predictionsWithText(database: Queryable, id: string): AsyncGenerator<string> {
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await database.query<{ prediction_id: string; input_spec: InputSpec; features: Buffer }>(
      `SELECT prediction_id, input_spec, features FROM prediction WHERE prediction_id > $1
         AND input_spec::text LIKE '%BYTES%' AND position($2::bytea IN features) > 0
       ORDER BY prediction_id LIMIT ${PAGE}`,
      [after, Buffer.from(id)],
    );
    for (const { prediction_id, input_spec, features } of rows)
      if (
        textsOf(input_spec, features).some((text) => text === id || (isDistinctive(id) && text.includes(id)))
      )
        yield prediction_id;
    if (rows.length < PAGE) return;
    after = rows.at(-1)!.prediction_id;
  }
}

type InputSpec = readonly {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Its contents are not kept. */
  readonly hidden?: boolean;
}[];

/** The texts among logged inputs, which lie end to end; those before what cannot be read. */
export function textsOf(spec: InputSpec, contents: Buffer): string[] {
  const texts: string[] = [];
  let at = 0;
  for (const { datatype, shape, hidden } of spec) {
    if (hidden) continue;
    const elements = shape.reduce((product, size) => product * size, 1);
    if (datatype !== 'BYTES') {
      at += elements * (datatype === 'BOOL' ? 1 : Number(/\d+$/.exec(datatype)?.[0] ?? 8) / 8);
      continue;
    }
    for (let element = 0; element < elements; element++) {
      if (at + 4 > contents.length) return texts;
      const end = at + 4 + contents.readUInt32LE(at);
      texts.push(contents.toString('utf8', at + 4, end));
      at = end;
    }
  }
  return texts;
}

/** Erases rows of the prediction log, which compute writes. */
export function predictionEraser(database: Queryable): Eraser {
  return {
    what: 'predictions',
    async erase({ predictions }) {
      const { rowCount } = await database.query(
        'DELETE FROM prediction WHERE prediction_id = ANY($1::uuid[])',
        [predictions],
      );
      return rowCount ?? 0;
    },
  };
}
