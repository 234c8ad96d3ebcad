import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_EVENTS } from '@hotloop/model/features/event-list.ts';
import type { HistoryAnswers } from '@hotloop/model/features/feature-plan.ts';
import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainingSpec, validationShare } from '@hotloop/model/training/training-settings.ts';
import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { EventsOf } from '../parity/events-of-entities.ts';
import { type LoadedDataset, loadDataset } from './dataset.ts';
import { datasetInputs } from './dataset-inputs.ts';
import { datasetKey, storeDataset } from './dataset-store.ts';
import {
  type LabelledColumns,
  type LabelledRow,
  labelledRowReader,
  type RowReader,
} from './labelled-rows.ts';
import { type EventsCountFrom, eventsOfRequests, historyAsOf } from './past-events.ts';
import { readTable } from './read-table.ts';
import { RowSpool } from './row-spool.ts';
import { writeDataset } from './write-dataset.ts';

export interface ImportedDataset extends LoadedDataset {
  readonly sha256: string;
  readonly examples: number;
  readonly positives: number;
  /** Rows that were refused: the first of them with their reason. */
  readonly refused: number;
  readonly problems: readonly string[];
  /** Rows for which the archive has at least one event. */
  readonly withEvents: number;
}

export interface ImportDependencies {
  readonly pool: Pool;
  readonly objects: ObjectStore;
}

/** Where features from history come from. Without it they take their missing value. */
export interface PastHistory {
  readonly archive: Pick<EventArchive, 'read'>;
  readonly countFrom: EventsCountFrom;
}

/** Rows whose entities' events are in memory at once. */
const SLICE = 10_000;
const MOST_PROBLEMS = 20;
/** A file of which this share is refused is not the file that was meant. */
const MOST_REFUSED = 0.1;

/**
 * Makes a dataset of a file with labels: features by the model's own plan, kept in the store and registered as the model's
 * history, which every later dataset includes. With `past`, features from history are those of each row's own time, computed from the
 * archived events: nothing that happened or arrived later counts. Rows that cannot be read are refused with their line; the import fails with
 * INVALID_ARGUMENT when that is more than a tenth of them.
 */
export async function importDataset(
  path: string,
  manifest: Manifest,
  columns: LabelledColumns,
  { pool, objects }: ImportDependencies,
  past?: PastHistory,
): Promise<ImportedDataset> {
  const reader = labelledRowReader(manifest, columns);
  if (past && columns.at === null)
    throw new HotloopError('INVALID_ARGUMENT', 'name the column that holds the time of each row (at)', {
      reason: 'no_time_column',
    });
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-import-'));
  try {
    await using spool = await RowSpool.create(folder, columnsOf(manifest).width);
    const problems: string[] = [];
    let refused = 0;
    const refuse = (error: unknown) => {
      if (!(error instanceof HotloopError)) throw error;
      refused++;
      if (problems.length < MOST_PROBLEMS) problems.push(error.message);
    };
    let withEvents = 0;
    const keep = async (rows: readonly LabelledRow[]) => {
      for await (const { row, history } of withHistory(rows, reader, past)) {
        if (history.some((events) => events.length > 0)) withEvents++;
        try {
          const vector = reader.vector(row, history, spool.texts);
          const place = placeOf(row);
          const { label } = row;
          const own = { ...place, at: row.at ?? row.line, label, weight: 1, version: 0 };
          await spool.append({ ...own, key: place.predictionId, source: 'import' }, vector);
        } catch (error) {
          refuse(error);
        }
      }
    };
    const placeOf = placing(manifest.task === 'ranking');
    let slice: LabelledRow[] = [];
    for await (const row of readTable(path)) {
      try {
        slice.push(reader.parse(row));
      } catch (error) {
        refuse(error);
      }
      if (slice.length === SLICE) {
        await keep(slice);
        slice = [];
      }
    }
    await keep(slice);
    if (spool.length === 0 || refused > (spool.length + refused) * MOST_REFUSED)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `${refused} of ${spool.length + refused} rows were refused: ${problems.slice(0, 3).join('; ') || 'the file has no rows'}`,
        { reason: 'refused_rows' },
      );
    const spec = trainingSpec(manifest);
    const { data, holdout } = spec;
    const written = await writeDataset(spool, join(folder, 'dataset.parquet'), {
      model: manifest.name,
      columns: columnKeys(manifest),
      ...datasetInputs(manifest),
      // Files without times are often sorted by something else, such as the label.
      split: {
        ...{ holdout, validation: validationShare(spec), data, hasParent: false },
        isOrdered: columns.at !== null,
      },
      parentTo: 0,
    });
    await objects.putFile(datasetKey(written.sha256), join(folder, 'dataset.parquet'));
    await storeDataset(pool, {
      sha256: written.sha256,
      model: manifest.name,
      kind: past ? 'built' : 'imported',
      examples: written.examples,
      columns: columnsOf(manifest).width,
      positives: written.positives,
      cut: 0,
      bytes: written.bytes,
      parts: written.parts,
      parentSha256: null,
      from: columns.at === null ? null : written.from,
      to: columns.at === null ? null : written.to,
      detail: {
        ...{ label: columns.label, at: columns.at, refused, problems },
        ...(past ? { events: past.countFrom, rows_with_events: withEvents } : {}),
      },
    });
    const { sha256, examples, positives } = written;
    return {
      sha256,
      examples,
      positives,
      refused,
      problems,
      withEvents,
      ...(await loadDataset(join(folder, 'dataset.parquet'))),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Candidates of one moment and the same entities stand together as one prediction where they follow one another. */
function placing(ranking: boolean) {
  let group = '';
  let first = 0;
  let row = 0;
  return ({ line, input, at }: LabelledRow): { predictionId: string; row: number } => {
    const own = ranking && at !== null ? JSON.stringify([at, input.entities]) : `${line}`;
    if (own === group) row++;
    else [group, first, row] = [own, line, 0];
    return { predictionId: `line ${first}`, row };
  };
}

/** The rows with what the history would have answered at their time. A slice with too many events is divided. */
async function* withHistory(
  rows: readonly LabelledRow[],
  reader: RowReader,
  past: PastHistory | undefined,
): AsyncGenerator<{ row: LabelledRow; history: NonNullable<HistoryAnswers> }> {
  if (past === undefined || reader.eventTypes.length === 0) {
    for (const row of rows) yield { row, history: reader.reads(row).map(() => NO_EVENTS) };
    return;
  }
  let eventsOf: EventsOf;
  try {
    const requests = rows.map(({ input, at }) => ({
      entities: input.entities,
      candidates: input.candidates.map(({ id }) => id),
      atMs: at ?? 0,
    }));
    eventsOf = await eventsOfRequests(past.archive, requests, reader.eventTypes);
  } catch (error) {
    if (rows.length < 2 || !(error instanceof HotloopError) || error.reason !== 'too_many_events')
      throw error;
    const middle = Math.ceil(rows.length / 2);
    yield* withHistory(rows.slice(0, middle), reader, past);
    yield* withHistory(rows.slice(middle), reader, past);
    return;
  }
  for (const row of rows)
    yield { row, history: historyAsOf(reader.reads(row), eventsOf, row.at ?? 0, past.countFrom) };
}
