import type { Attributes } from '../value.ts';
import type { HistoryEvent } from './history.ts';
import type { DecodedImages } from './image.ts';

/** What a prediction brings to the plan. Attributes are null-prototype objects: names come from outside. */
export interface FeatureInput {
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string; readonly attributes: Attributes }[];
  /** What `FeaturePlan.images` asked for; without it features of images are refused. */
  readonly images?: DecodedImages;
}

/** Events of each read of `FeaturePlan.reads`, in its order; null when the store did not answer in time. */
export type HistoryAnswers = readonly (readonly HistoryEvent[])[] | null;
