import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan, type FeatureInput } from '@hotloop/model/features/feature-plan.ts';
import type { HistoryRead } from '@hotloop/model/features/history.ts';
import type { Placed } from '@hotloop/model/features/input-layout.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { ArchivedEvent } from '@hotloop/platform/archive/event-archive.ts';

/** How far apart two numbers may be, relative to the larger one, or to 1. */
export const TOLERANCE = 1e-6;
/** The clocks of two nodes may differ, and an event is in the history some time after it arrived. */
const UNSURE_US = 2_000_000;
/** Events whose arrival may be before or after a request; more are not tried one by one. */
const MOST_UNSURE = 64;

/** What the log keeps of one request. */
export interface ServedRequest {
  readonly predictionId: string;
  /** The moment that its features were computed for, ms. */
  readonly atMs: number;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly string[];
  readonly rows: number;
  /** [rows, columns] as served. */
  readonly features: Float32Array;
}

export interface Difference {
  readonly feature: string;
  readonly served: number;
  readonly recomputed: number;
}

/** Recomputes what can be recomputed of a version: the features that come from history alone. */
export interface Recomputation {
  /** Their names; the others are values of the request, or of tables that have changed since. */
  readonly features: readonly string[];
  readonly columns: number;
  /** The event types that they read. */
  readonly types: readonly string[];
  /**
   * Features of a request that differ from what the events give, one entry for each. `eventsOf` answers an entity's events of a type, newest
   * first. Events that arrived around the moment of the request may have been seen or not: either is right.
   */
  differences(
    request: ServedRequest,
    eventsOf: (entity: string, id: string, type: string) => readonly ArchivedEvent[],
  ): Difference[];
}

/** Undefined when the version has no feature that comes from history alone, or several inputs. */
export function recomputationOf(manifest: Manifest): Recomputation | undefined {
  const whole = compileFeaturePlan(manifest);
  if (whole.inputs.length !== 1) return undefined;
  const kept = new Set<string>();
  for (const feature of manifest.features) {
    const { from, name } = feature;
    const parts = /^(?:ratio|cross)\((.*)\)$/
      .exec(from)?.[1]
      ?.split(',')
      .map((part) => part.trim());
    if (from.startsWith('history.') || parts?.every((part) => kept.has(part))) kept.add(name);
  }
  if (kept.size === 0) return undefined;
  const features = manifest.features.filter(({ name }) => kept.has(name));
  const { exclude: _, ...rank } = manifest.decision.rank ?? {};
  const decision = manifest.decision.rank === undefined ? manifest.decision : { ...manifest.decision, rank };
  const plan = compileFeaturePlan({ ...manifest, features, decision } as Manifest);
  const places = plan.featureNames.map((name, index) => ({
    name,
    own: plan.placed[index] as Placed,
    served: whole.placed[whole.featureNames.indexOf(name)] as Placed,
  }));
  const types = features.flatMap(({ from }) =>
    from.startsWith('history.') ? [from.split('.')[2] ?? ''] : [],
  );

  const compare = (request: ServedRequest, recomputed: Float32Array): Difference[] =>
    places.flatMap(({ name, own, served }) => {
      for (let row = 0; row < request.rows; row++)
        for (let column = 0; column < own.width; column++) {
          const was = request.features[row * whole.columns + served.offset + column] as number;
          const is = recomputed[row * plan.columns + own.offset + column] as number;
          if (!isNear(was, is)) return [{ feature: name, served: was, recomputed: is }];
        }
      return [];
    });

  return {
    features: plan.featureNames,
    columns: whole.columns,
    types: [...new Set(types)],
    differences(request, eventsOf) {
      const input: FeatureInput = {
        request: Object.create(null),
        entities: request.entities,
        candidates: request.candidates.map((id) => ({ id, attributes: Object.create(null) })),
      };
      const reads = plan.reads(input, request.atMs);
      const lists = reads.map(({ entity, entityId, event }) => eventsOf(entity, entityId, event));
      const asked = request.atMs * 1000;
      const isUnsure = ({ arrivalUs }: ArchivedEvent) => Math.abs(arrivalUs - asked) <= UNSURE_US;
      const unsure = [
        ...new Set(lists.flatMap((list) => list.filter(isUnsure).map(({ arrivalUs }) => arrivalUs))),
      ];
      const cuts = [
        asked,
        ...unsure.slice(0, MOST_UNSURE),
        ...(unsure.length > 0 ? [asked - UNSURE_US - 1] : []),
      ];
      let fewest: Difference[] | undefined;
      for (const cut of cuts) {
        const history = reads.map((read, at) => visible(lists[at] ?? [], read, cut));
        const { features: bytes } = plan.run(input, history, request.atMs);
        const found = compare(
          request,
          new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4),
        );
        if (fewest === undefined || found.length < fewest.length) fewest = found;
        if (found.length === 0) break;
      }
      return fewest ?? [];
    },
  };
}

/** The events that had arrived, as a history that forgets nothing would answer the read. */
function visible(events: readonly ArchivedEvent[], { sinceMs, limit }: HistoryRead, cutUs: number) {
  const found = [];
  for (const { key, atMs, arrivalUs, fields } of events) {
    if (arrivalUs > cutUs || atMs < sinceMs) continue;
    if (found.push({ id: key, atMs, fields }) === limit) break;
  }
  return eventList(found);
}

function isNear(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
}
