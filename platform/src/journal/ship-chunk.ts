import type { PoolClient } from 'pg';
import type { CopyRows } from '../postgres/copy-rows.ts';
import { partitionDay } from '../postgres/partitions.ts';
import type { JournalChunk } from './reader.ts';
import type { JournalPosition } from './segment.ts';
import { isRefusal, preparePartitions, shipRows } from './ship-rows.ts';

/** The result for some rows of a chunk. */
export interface ShippedPart {
  readonly shipped: number;
  /** A row that Postgres rejects, by its key in hexadecimal. */
  readonly refused?: { readonly key: string; readonly error: unknown };
}

/**
 * Ships a chunk, and yields the result of each part. Rows that Postgres rejects are found by bisection and left out,
 * so that one row never blocks all. The position advances only with the last part, so after a crash in between the
 * whole chunk is shipped again. Throws every other error; `knownDays`, the days whose partitions exist, is then
 * cleared.
 */
export async function* shipChunk(
  client: PoolClient,
  journal: { readonly name: string; readonly provisional: string | undefined },
  chunk: JournalChunk,
  from: JournalPosition,
  knownDays: Set<number>,
): AsyncGenerator<ShippedPart> {
  yield* shipOrSplit(chunk.rows, chunk.next);

  async function* shipOrSplit(
    rows: CopyRows,
    next: JournalPosition | undefined,
  ): AsyncGenerator<ShippedPart> {
    const { description } = chunk;
    const { name, provisional } = journal;
    const shipment = { journal: name, description, rows, from, next, provisional };
    const isAlone = rows.length === 1;
    const isDayAssumed = isAlone && knownDays.has(partitionDay(rows.keyTimeMs(0)));
    try {
      await preparePartitions(client, description.table, rows, knownDays);
      await shipRows(client, shipment);
      yield { shipped: rows.length };
      return;
    } catch (error) {
      // Postgres also rejects rows when a known partition was dropped.
      knownDays.clear();
      if (!isRefusal(error)) throw error;
      if (isDayAssumed) {
        yield* shipOrSplit(rows, next);
        return;
      }
      if (isAlone) {
        if (next) await shipRows(client, { ...shipment, rows: rows.slice(0, 0) });
        yield { shipped: 0, refused: { key: rows.at(0).toString('hex', 6, 22), error } };
        return;
      }
    }
    const middle = rows.length >> 1;
    yield* shipOrSplit(rows.slice(0, middle), undefined);
    yield* shipOrSplit(rows.slice(middle), next);
  }
}
