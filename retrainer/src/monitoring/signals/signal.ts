import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';

export type Severity = 'info' | 'warning' | 'critical';

/** Where a producer's change of its messages begins. */
export interface Producer {
  /** `http` for events that came over HTTP. */
  readonly topic: string;
  readonly field: string;
  readonly partition: number | null;
  readonly firstOffset: string | null;
  /** Milliseconds since 1970. */
  readonly firstAt: number;
}

/** One thing that is not as it was, or not as it should be. */
export interface Signal {
  readonly kind: SignalKind;
  /** Null: it is about the model, not about one feature. */
  readonly feature: string | null;
  /** Rows that it is about, such as `country = IT`; absent: all. */
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
  /** Rows it rests on. */
  readonly n: number;
  readonly severity: Severity;
  /** One sentence with the numbers before and now. */
  readonly message: string;
  /** Of a schema change. */
  readonly producer?: Producer;
}

/** What could not be judged, and why: said rather than passed over. */
export interface NotJudged {
  readonly feature: string | null;
  readonly reason: string;
}
