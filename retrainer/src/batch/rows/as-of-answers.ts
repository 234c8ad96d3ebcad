import { compileDecisionPlan } from '@hotloop/model/decision/decision-plan.ts';
import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan, type FeatureRows } from '@hotloop/model/features/feature-plan.ts';
import { HISTORY_AGE_MS } from '@hotloop/model/features/history.ts';
import type { ReferenceRow } from '@hotloop/model/features/sources/source-kind.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import type { Attributes } from '@hotloop/model/value.ts';
import { type EventArchive, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { entityKey, eventsOfEntities } from '../../parity/events-of-entities.ts';
import { openSynchronousSession } from '../../scoring/synchronous-session.ts';
import { runtimeTensorOf, tensorOfRuntime } from '../../scoring/tensor-contents.ts';
import type { BatchRun } from '../batch-run.ts';
import type { RowAnswer, RowAnswers } from './row-answer.ts';
import type { RowRequest } from './row-request.ts';

const ROWS_AT_ONCE = 20_000;

export interface AsOfDependencies {
  readonly pool: Queryable;
  readonly objects: ObjectStore;
  readonly bundles: BundleStore;
}

/**
 * Answers rows with features as of a time of each row: events that had happened by then, from the archive, and the rows of the table
 * version that was the newest then and is still kept. Plan, network and decision run in this process; nothing is logged.
 */
export async function openAsOfAnswers(
  run: BatchRun,
  { pool, objects, bundles }: AsOfDependencies,
  record: VersionRecord,
): Promise<RowAnswers> {
  const bundle = await bundles.get(record.bundleSha256);
  const manifest = parseManifest(bundle.manifestYaml);
  if (manifest.runtime.remote !== undefined || manifest.pipeline !== undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${record.model} asks other models or servers, which know no time but now; leave --as-of out`,
      { reason: 'remote_model' },
    );
  const plan = compileFeaturePlan(manifest);
  if (plan.needsImages)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${record.model} reads images, which the front door decodes; leave --as-of out`,
      { reason: 'images_as_of' },
    );
  const decision = compileDecisionPlan(manifest);
  const { graph } = decodeModel(bundle.onnx);
  const first = graph.inputs.find(({ name }) => !graph.initializers.has(name))?.name ?? '';
  const types = eventTypesOf(manifest);
  const outputs = graph.outputs.map(({ name }) => name);
  await using opened = new AsyncDisposableStack();
  const archive = opened.use(await openEventArchive(objects));
  const session = opened.use(openSynchronousSession(bundle.onnx, 1));
  const stack = opened.move();

  function infer(made: FeatureRows) {
    const tensors =
      made.tensors.length > 0
        ? made.tensors
        : [
            {
              name: manifest.input ?? first,
              datatype: 'FP32' as const,
              shape: [made.rows, made.columns],
              contents: made.features,
            },
          ];
    const found = session.run(
      Object.fromEntries(tensors.map((tensor) => [tensor.name, runtimeTensorOf(tensor)])),
      outputs,
    );
    return outputs.flatMap((name) => (found[name] ? [tensorOfRuntime(name, found[name])] : []));
  }

  return {
    rowsAtOnce: ROWS_AT_ONCE,
    async answer(rows, timesMs) {
      const eventsOf = plan.needsHistory ? await readEvents(archive, rows, timesMs, types) : () => [];
      const tables = plan.needsReference ? await readTables(pool, rows, plan) : new Map<string, Known>();
      return rows.map((request, at): RowAnswer => {
        const asOf = timesMs[at] ?? Number.NaN;
        if (!Number.isFinite(asOf))
          return { row: request.row, refused: 'it has no time to compute features for' };
        try {
          const reads = plan.needsHistory ? plan.reads(request, asOf) : [];
          const history = reads.map(({ entity, entityId, event, sinceMs, limit }) => {
            const found = [];
            for (const { key, atMs, fields } of eventsOf(entity, entityId, event)) {
              if (atMs > asOf || atMs < sinceMs) continue;
              if (found.push({ id: key, atMs, fields }) === limit) break;
            }
            return eventList(found);
          });
          const references = plan.references(request).map(({ table, key }) => tables.get(table)?.(key, asOf));
          const made = plan.run(request, history, asOf, references);
          const excluded = plan.excluded(request, history);
          return {
            row: request.row,
            decision: decision.decide({
              ...request,
              predictionId: `${run.runId} ${request.row}`,
              outputs: infer(made),
              excluded,
            }),
          };
        } catch (error) {
          const known = toHotloopError(error);
          if (known.code !== 'INVALID_ARGUMENT') throw error;
          return { row: request.row, refused: known.message };
        }
      });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function eventTypesOf(manifest: ReturnType<typeof parseManifest>): readonly string[] {
  const sources = [...manifest.features.map(({ from }) => from), manifest.decision.rank?.exclude ?? ''];
  return [
    ...new Set(sources.flatMap((from) => (from.startsWith('history.') ? [from.split('.')[2] ?? ''] : []))),
  ];
}

function readEvents(
  archive: Pick<EventArchive, 'read'>,
  rows: readonly RowRequest[],
  timesMs: readonly number[],
  types: readonly string[],
) {
  const wanted = new Set<string>();
  for (const { entities, candidates } of rows) {
    for (const [entity, id] of Object.entries(entities)) wanted.add(entityKey(entity, id));
    for (const { id } of candidates) wanted.add(entityKey('item', id));
  }
  const times = timesMs.filter(Number.isFinite);
  if (times.length === 0) return Promise.resolve(() => []);
  const first = times.reduce((a, b) => Math.min(a, b));
  const last = times.reduce((a, b) => Math.max(a, b));
  return eventsOfEntities(archive, wanted, { sinceMs: first - HISTORY_AGE_MS, untilMs: last + 1, types });
}

/** The row of a key as of a time. */
type Known = (key: string, asOfMs: number) => ReferenceRow | undefined;

async function readTables(
  pool: Queryable,
  rows: readonly RowRequest[],
  plan: ReturnType<typeof compileFeaturePlan>,
): Promise<Map<string, Known>> {
  const keys = new Map<string, Set<string>>();
  for (const request of rows)
    for (const { table, key } of plan.references(request)) {
      const known = keys.get(table);
      if (known) known.add(key);
      else keys.set(table, new Set([key]));
    }
  const tables = new Map<string, Known>();
  for (const [table, wanted] of keys) {
    const { rows: found } = await pool.query<{ key: string; fields: object; uploaded_at: Date }>(
      `SELECT r.key, r.fields, v.uploaded_at FROM reference_row r
         JOIN reference_version v ON v.table_name = r.table_name AND v.version = r.version
       WHERE r.table_name = $1 AND v.rows IS NOT NULL AND r.key = ANY($2) ORDER BY v.version DESC`,
      [table, [...wanted]],
    );
    const byKey = Map.groupBy(found, ({ key }) => key);
    tables.set(table, (key, asOfMs) => {
      const row = byKey.get(key)?.find(({ uploaded_at }) => uploaded_at.getTime() <= asOfMs);
      if (!row) return undefined;
      const fields = Object.assign(Object.create(null), row.fields) as Attributes;
      return { fields, atMs: row.uploaded_at.getTime() };
    });
  }
  return tables;
}
