import type { CompiledFeature } from './compile-feature.ts';
import type { ReferenceRow } from './sources/source-kind.ts';

/** One row of an uploaded table. */
export interface ReferenceRead {
  readonly table: string;
  /** The id of the entity. */
  readonly key: string;
}

/**
 * Rows of `FeaturePlan.references`, in its order; undefined: no such row. Null when the store did not answer in time.
 */
export type ReferenceAnswers = readonly (ReferenceRow | undefined)[] | null;

export interface PlannedReference {
  readonly table: string;
  readonly entity: string;
  readonly perCandidate: boolean;
}

interface Identified {
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string }[];
}

/** One lookup per table and entity, however many features use it. */
export function planReferences(features: readonly CompiledFeature[]): {
  references: readonly PlannedReference[];
  referenceOf: Int32Array;
} {
  const references: PlannedReference[] = [];
  const referenceOf = Int32Array.from(features, ({ source: { reference }, shared }) => {
    if (!reference) return -1;
    const found = references.findIndex(
      ({ table, entity }) => table === reference.table && entity === reference.entity,
    );
    return found >= 0 ? found : references.push({ ...reference, perCandidate: !shared }) - 1;
  });
  return { references, referenceOf };
}

/** The lookups of one prediction; entities that the caller did not name are left out. */
export function referenceReads(planned: readonly PlannedReference[], input: Identified): ReferenceRead[] {
  return planned.flatMap(({ table, entity, perCandidate }) => {
    if (perCandidate) return input.candidates.map(({ id }) => ({ table, key: id }));
    const key = input.entities[entity];
    return key === undefined ? [] : [{ table, key }];
  });
}
