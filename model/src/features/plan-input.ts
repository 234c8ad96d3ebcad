import type { Attributes } from '../value.ts';
import type { EventList } from './event-list.ts';
import type { DecodedImages } from './image.ts';

/**
 * The data of a prediction that the plan uses. Attributes are null-prototype objects, because callers choose their
 * names.
 */
export interface FeatureInput {
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string; readonly attributes: Attributes }[];
  /** The images requested by `FeaturePlan.images`; without them features of images are rejected. */
  readonly images?: DecodedImages;
}

/** Events of each read of `FeaturePlan.reads`, in its order; null when the store did not answer in time. */
export type HistoryAnswers = readonly EventList[] | null;
