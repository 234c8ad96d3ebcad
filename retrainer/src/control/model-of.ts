import type { ModelOf } from '@hotloop/platform/http/http-server.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { readBatchRun } from '../batch/batch-store.ts';
import { scheduledModel } from '../batch/schedule-store.ts';
import { findDataset } from '../datasets/dataset-store.ts';
import { findIncident } from '../monitoring/incidents/incident-store.ts';
import { findUpload } from '../outcomes/corrections/correction-store.ts';
import { findRollout } from '../rollouts/rollout-rows.ts';
import { findRun } from '../runs/run-store.ts';
import { findSearch } from '../runs/search-store.ts';
import { predictedModel } from '../trace/predicted-model.ts';

/** Finds a thing by its id: null, or NOT_FOUND, for one that is not there. */
type Find = (database: Queryable, id: string) => Promise<{ readonly model: string } | null>;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DIGEST = /^[0-9a-f]{6,64}$/;
const SCHEDULE = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** The things that a parameter of a path may name, in the order in which they are looked for, and the form of their ids. */
const NAMED: Readonly<Record<string, readonly [form: RegExp, find: Find][]>> = {
  name: [[SCHEDULE, scheduledModel]],
  rollout: [[UUID, findRollout]],
  uploadId: [[UUID, findUpload]],
  search: [[UUID, findSearch]],
  sha256: [[DIGEST, findDataset]],
  run: [
    [UUID, findRun],
    [UUID, readBatchRun],
  ],
  id: [
    [UUID, findIncident],
    [UUID, findRun],
    [UUID, predictedModel],
  ],
};

/** Which model the thing is of that a path names by an id: for keys that are limited to some models. */
export function modelOf(database: Queryable): Readonly<Record<string, ModelOf>> {
  return Object.fromEntries(
    Object.entries(NAMED).map(([parameter, things]): [string, ModelOf] => [
      parameter,
      async (id) => {
        for (const [form, find] of things) {
          const found = form.test(id) ? await modelOrNull(find, database, id) : null;
          if (found !== null) return found;
        }
        return null;
      },
    ]),
  );
}

async function modelOrNull(find: Find, database: Queryable, id: string): Promise<string | null> {
  try {
    return (await find(database, id))?.model ?? null;
  } catch (error) {
    if (error instanceof HotloopError && error.code === 'NOT_FOUND') return null;
    throw error instanceof HotloopError ? error : fromPostgresError(error);
  }
}
