import type { AdvanceRule, RolloutGuards, RolloutMode } from '@hotloop/model/manifest/rollout-schema.ts';
import type { RolloutTraffic } from '@hotloop/platform/registry/snapshot.ts';
import type { ErrorCode } from '@hotloop/proto/errors.ts';
import type { QualityVerdict } from './judge-quality.ts';
import type { SliceVerdict } from './judge-slices.ts';
import type { RolloutEvent, RolloutState } from './rollout-state.ts';

/** The plan of a rollout, fixed at its start: the manifest's section with the changes of the request. */
export interface RolloutPlan {
  readonly mode: RolloutMode;
  /** Percent; 0 is a shadow. */
  readonly steps: readonly number[];
  readonly share: number;
  readonly advance: AdvanceRule;
  readonly requests: number;
  readonly everyMs: number;
  readonly approvals: number;
  /** Null without guards. */
  readonly guards: RolloutGuards | null;
  /** How long nodes may take to load and warm the version. */
  readonly timeoutMs: number;
  /** How long an earlier failure is ignored while the node tries again. */
  readonly oldFailureMs: number;
  /** Nodes that had already failed before. */
  readonly oldFailures: readonly string[];
  /** Set if the version was promoted although its gate had refused it. */
  readonly forced?: boolean;
}

/** Statistics of the candidate's answers since the step began. */
export interface TrafficFacts {
  readonly requests: number;
  readonly errors: number;
  readonly nonfinite: number;
  readonly p99Ms: number | null;
  /** Population stability index of the scores against the live version's; null if not computed. */
  readonly drift: number | null;
}

export interface Evidence {
  readonly traffic?: TrafficFacts;
  readonly quality?: Omit<QualityVerdict, 'message'> & { readonly message: string };
  /** Comparison within each slice that a guard names, largest first. */
  readonly slices?: readonly SliceVerdict[];
  /** Outcomes per day at the present rate. */
  readonly outcomesPerDay?: number;
}

export interface Approval {
  readonly actor: string;
  readonly at: number;
  readonly reason: string;
}

/** Why a rollout failed, for a waiting caller. */
export interface RolloutFailure {
  readonly code: ErrorCode;
  readonly reason: string;
}

/** A rollout as stored. Times are milliseconds since 1970. */
export interface Rollout {
  readonly rolloutId: string;
  readonly model: string;
  readonly version: number;
  readonly fromVersion: number | null;
  readonly action: 'promote' | 'rollback';
  readonly mode: RolloutMode;
  readonly plan: RolloutPlan;
  readonly state: RolloutState;
  /** Index into the plan's steps. */
  readonly step: number;
  readonly traffic: RolloutTrafficPart | null;
  readonly salt: string;
  readonly generation: number;
  readonly message: string;
  readonly reason: string;
  readonly actor: string;
  readonly evidence: Evidence;
  readonly failure: RolloutFailure | null;
  readonly approvals: readonly Approval[];
  readonly token: number;
  readonly createdAt: number;
  readonly stateAt: number;
  readonly stepAt: number;
  readonly flippedAt: number | null;
  readonly endedAt: number | null;
}

export type RolloutTrafficPart = Omit<RolloutTraffic, 'rolloutId'>;

/** One change of a rollout. */
export interface RolloutChange {
  readonly sequence: number;
  readonly at: number;
  readonly event: RolloutEvent | 'requested' | 'progress' | 'approval';
  readonly state: RolloutState;
  readonly step: number;
  readonly traffic: RolloutTrafficPart | null;
  readonly message: string;
  readonly actor: string;
  readonly reason: string;
  readonly evidence: Evidence;
}

/** Percent of the requests that the candidate answers now. */
export function sharePercent({ traffic }: Pick<Rollout, 'traffic'>): number {
  if (traffic?.kind !== 'split') return 0;
  return 100 * traffic.arms.reduce((sum, { share }) => sum + share, 0);
}
