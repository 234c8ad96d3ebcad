import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';

export type Severity = 'info' | 'warning' | 'critical';

/** The beginning of a producer's change of its messages. */
export interface Producer {
  /** `http` for events that came over HTTP. */
  readonly topic: string;
  readonly field: string;
  readonly partition: number | null;
  readonly firstOffset: string | null;
  /** Milliseconds since 1970. */
  readonly firstAt: number;
}

/** One finding: something changed or violates a rule. */
export interface Signal {
  readonly kind: SignalKind;
  /** Null if it concerns the whole model. */
  readonly feature: string | null;
  /** The slice that it concerns, such as `country = IT`; absent for all rows. */
  readonly slice?: string;
  /** Signals with the same source have one cause, such as `history.user.view` or `traffic`. */
  readonly source: string;
  /** How large, in `unit`, with a 95 % interval. */
  readonly effect: number;
  readonly low: number;
  readonly high: number;
  readonly unit: string;
  readonly threshold: number;
  /** Chance of an effect like this if nothing had changed, corrected for the number of features; null where none applies. */
  readonly p: number | null;
  /** Number of rows of evidence. */
  readonly n: number;
  readonly severity: Severity;
  /** One sentence with the earlier and the present numbers. */
  readonly message: string;
  /** Only for a schema change. */
  readonly producer?: Producer;
}

/** What could not be judged, and why. Reported so that a gap is visible. */
export interface NotJudged {
  readonly feature: string | null;
  readonly reason: string;
}
