import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan, type FeatureInput } from '@hotloop/model/features/feature-plan.ts';
import type { HistoryRead } from '@hotloop/model/features/history.ts';
import type { Placed } from '@hotloop/model/features/input-layout.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { ArchivedEvent } from '@hotloop/platform/archive/event-archive.ts';

/** Tolerance for numbers, relative to the larger one, or to 1. */
export const TOLERANCE = 1e-6;
/** Clocks of two nodes may differ, and an event enters the history some time after its arrival. */
const UNSURE_US = 2_000_000;
/** Maximum number of events near the request for which both orders are tried. */
const MOST_UNSURE = 64;

/** A request as logged. */
export interface ServedRequest {
  readonly predictionId: string;
  /** The time that its features were computed for, ms. */
  readonly atMs: number;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly string[];
  readonly rows: number;
  /** The served vectors, [rows, columns]. */
  readonly features: Float32Array;
}

export interface Difference {
  readonly feature: string;
  readonly served: number;
  readonly recomputed: number;
}

/** Recomputes the features of a version that depend on history alone. */
export interface Recomputation {
  /** Names of these features. The others depend on the request, or on tables that may have changed since. */
  readonly features: readonly string[];
  readonly columns: number;
  /** Event types that these features read. */
  readonly types: readonly string[];
  /**
   * Returns the features of a request that differ from the recomputed ones. `eventsOf` returns an entity's events of a type, newest
   * first. Events that arrived at about the time of the request may or may not have been seen; both are accepted.
   */
  differences(
    request: ServedRequest,
    eventsOf: (entity: string, id: string, type: string) => readonly ArchivedEvent[],
  ): Difference[];
}

/** Undefined if the version has no feature that depends on history alone, or has several inputs. */
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

/** Answers the read with the events that had arrived, like a history with unlimited retention. */
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
