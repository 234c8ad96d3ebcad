/** Rollouts as the control API answers them. Times are RFC 3339. */
export interface Arm {
  readonly outcomes: number;
  readonly mean: number;
}

export interface RolloutEvidence {
  readonly traffic?: {
    readonly requests: number;
    readonly errors: number;
    readonly nonfinite: number;
    readonly p99Ms: number | null;
    readonly drift: number | null;
  };
  readonly quality?: {
    readonly kind: 'advance' | 'roll_back' | 'wait';
    readonly needed: number | null;
    readonly message: string;
    readonly comparison: {
      readonly candidate: Arm;
      readonly live: Arm;
      readonly difference: number;
      readonly lower: number;
      readonly upper: number;
    };
  };
  readonly outcomesPerDay?: number;
}

export interface Rollout {
  readonly rolloutId: string;
  readonly model: string;
  readonly version: number;
  readonly fromVersion: number | null;
  readonly action: 'promote' | 'rollback';
  readonly mode: string;
  readonly state: string;
  readonly step: number;
  readonly steps: readonly number[];
  readonly sharePercent: number;
  readonly message: string;
  readonly reason: string;
  readonly actor: string;
  readonly approvalsNeeded: number;
  readonly approvals: readonly { readonly actor: string; readonly at: string; readonly reason: string }[];
  readonly evidence: RolloutEvidence;
  readonly ended: boolean;
  readonly createdAt: string;
  readonly stateSince: string;
  readonly endedAt: string | null;
}

export interface RolloutChange {
  readonly sequence: number;
  readonly at: string;
  readonly event: string;
  readonly state: string;
  readonly step: number;
  readonly message: string;
  readonly actor: string;
  readonly reason: string;
  readonly evidence: RolloutEvidence;
}
