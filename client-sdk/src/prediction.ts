import type { Candidate } from '@hotloop/proto/gen/hotloop/v1/Candidate.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { type Attributes, encodeAttributes } from './attributes.ts';
import { HotloopClientError } from './hotloop-client-error.ts';

/** Something to be scored, such as a product that may be shown: its id, and its attributes beside it. */
export type CandidateInput = { readonly id: string } & Attributes;

/** What a prediction is asked with. */
export interface PredictInput {
  /** Short for entities.user: whom the history is read for and outcomes are joined by. */
  readonly user?: string;
  readonly entities?: Readonly<Record<string, string>>;
  /** Fields that features read as request.FIELD. */
  readonly request?: Attributes;
  /** Task ranking: what may be shown; features read their attributes as item.FIELD. */
  readonly candidates?: readonly CandidateInput[];
  /** A version number, or live (default), candidate, previous. */
  readonly version?: number | string;
  /** UUIDv7. Made by the client when absent; a retry keeps it, so that the prediction is logged once. */
  readonly predictionId?: string;
  /** Asks how each feature came by its value. */
  readonly featureStatuses?: boolean;
  /** W3C trace context of the caller. */
  readonly traceparent?: string;
}

export interface RankedItem {
  readonly id: string;
  /** 1 is the first place. */
  readonly rank: number;
  readonly score: number;
  /** Probability that the policy put this candidate at this rank. */
  readonly propensity: number;
}

export interface FeatureReport {
  readonly feature: string;
  /** present, missing, stale, out_of_range or degraded. */
  readonly status: string;
  /** The candidate concerned; empty when there is none. */
  readonly candidate: string;
}

/** The answer. */
export interface Prediction {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  /** live, canary, shadow or pinned. */
  readonly variant: string;
  /** binary, multiclass: the chosen label. */
  readonly label: string;
  /** binary: probability of the positive class; multiclass: of the label; regression: the value; ranking: the best score. */
  readonly score: number;
  /** multiclass: one per class; ranking: one per candidate in the order asked. */
  readonly scores: readonly number[];
  /** ranking: best first. */
  readonly ranked: readonly RankedItem[];
  readonly featureStatuses: readonly FeatureReport[];
  /** What had to be done without, such as history; empty when all was there. */
  readonly degraded: readonly string[];
}

/** The request as it travels. Throws INVALID_ARGUMENT naming the attribute that has no wire form. */
export function encodePrediction(model: string, input: PredictInput, predictionId: string): PredictRequest {
  return {
    model,
    version: input.version === undefined ? '' : String(input.version),
    predictionId,
    entities: { ...input.entities, ...(input.user === undefined ? {} : { user: input.user }) },
    request: encodeAttributes(input.request ?? {}, 'request'),
    candidates: (input.candidates ?? []).map(encodeCandidate),
    wantFeatureStatuses: input.featureStatuses ?? false,
    traceparent: input.traceparent ?? '',
  };
}

function encodeCandidate(candidate: CandidateInput, index: number): Candidate {
  const { id, ...attributes } = candidate;
  if (typeof id !== 'string' || id === '')
    throw new HotloopClientError(
      'INVALID_ARGUMENT',
      `candidates.${index}.id must be a text that is not empty`,
    );
  return { id, attributes: encodeAttributes(attributes, `candidates.${index}`) };
}

/** The answer as programs use it. */
export function decodePrediction(reply: PredictReply__Output): Prediction {
  const { decision } = reply;
  return {
    predictionId: reply.predictionId,
    model: reply.model,
    version: reply.version,
    variant: reply.variant,
    label: decision?.label ?? '',
    score: decision?.score ?? 0,
    scores: decision?.scores ?? [],
    ranked: decision?.ranked ?? [],
    featureStatuses: reply.featureStatuses,
    degraded: reply.degraded,
  };
}
