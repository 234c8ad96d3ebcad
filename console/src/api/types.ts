/** What the control API answers. Times are milliseconds since 1970, durations milliseconds, shares fractions. */
export interface Session {
  readonly loginRequired: boolean;
  readonly loggedIn: boolean;
  readonly subject: string;
  readonly roles: readonly string[];
  readonly csrfToken: string;
  /** Whether people may log in at an issuer. */
  readonly oidc: boolean;
  /** Until the login must be renewed, which asking for the session does. Null: for as long as the key counts. */
  readonly endsInMs: number | null;
}

export interface ModelSummary {
  readonly name: string;
  readonly task: string;
  /** 0: none. */
  readonly liveVersion: number;
  readonly previousVersion: number;
  readonly generation: number;
  readonly versions: number;
}

export interface TrafficPoint {
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface Traffic {
  readonly stepMs: number;
  readonly points: readonly TrafficPoint[];
}

export interface GateCheck {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'reported';
  readonly candidate: number | null;
  readonly against: number | null;
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly examples: number;
  readonly message: string;
}

/** Which features moved one score, and by how much. */
export interface Explanation {
  readonly method: string;
  readonly score: number;
  readonly reference: number;
  readonly referenceIs: string;
  readonly sum: number;
  readonly gap: number;
  readonly features: readonly (FeatureValue & { readonly attribution: number })[];
}

/** What a shadow and the version that answered said to the same requests. */
export interface Disagreement {
  readonly shadow: number;
  readonly pairs: number;
  readonly different: number;
  readonly meanDifference: number;
  /** The largest differences first. */
  readonly examples: readonly {
    readonly predictionId: string;
    readonly at: number;
    readonly answered: number;
    readonly shadow: number;
  }[];
}

export interface Gate {
  readonly passed: boolean;
  readonly metric: string;
  readonly candidate: number | null;
  readonly live: number | null;
  readonly improvement: number | null;
  readonly examples: number;
  /** Absent for gates of older releases. */
  readonly checks?: readonly GateCheck[];
  readonly message: string;
}

export interface Run {
  readonly runId: string;
  readonly model: string;
  readonly reason: string;
  readonly state: string;
  readonly message: string;
  readonly parentVersion: number | null;
  readonly version: number | null;
  readonly datasetSha256: string | null;
  readonly examples: number;
  readonly progress: number;
  /** What it was trained with. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly gate: Gate | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
}

export interface Loop {
  readonly predictionsLogged: number;
  readonly outcomes: number;
  readonly outcomesUnmatched: number;
  readonly messagesSetAside: number;
  readonly latestRun: Run | null;
}

export interface Attention {
  readonly level: 'critical' | 'warning' | 'notice';
  readonly text: string;
  readonly link: string;
}

export interface ModelOverview {
  readonly model: ModelSummary;
  readonly traffic: Traffic | null;
  readonly loop: Loop | null;
  readonly attention: readonly Attention[];
}

export interface NodeState {
  readonly node: string;
  readonly state: string;
  readonly memoryBytes: number;
  readonly detail: string;
}

export interface Version {
  readonly version: number;
  readonly bundleSha256: string;
  readonly parentVersion: number | null;
  readonly datasetSha256: string | null;
  readonly runId: string | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly note: string;
  readonly createdAt: number;
  readonly state: 'registered' | 'live' | 'previous' | 'retired';
  readonly nodes: readonly NodeState[];
}

export interface LedgerEntry {
  readonly sequence: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly model: string;
  readonly version: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly previousHash: string;
  readonly hash: string;
}

export interface ModelDetails {
  readonly model: ModelSummary;
  readonly versions: readonly Version[];
  /** Null while its counts are being taken. */
  readonly loop: Loop | null;
  readonly traffic: Traffic | null;
  readonly history: readonly LedgerEntry[];
  /** What a person may say of its predictions. */
  readonly labelling: { readonly task: string; readonly labels: readonly string[] };
}

export interface PredictionSummary {
  readonly predictionId: string;
  readonly at: number;
  readonly version: number;
  readonly variant: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: number;
  readonly label: string;
  readonly score: number | null;
  readonly durationMs: number;
  readonly degraded: readonly string[];
  readonly error: string | null;
  readonly outcome: unknown;
}

export interface FeatureValue {
  readonly name: string;
  readonly from: string;
  readonly status: string;
  readonly values: readonly number[];
  /** The category that one_hot columns stand for. */
  readonly category: string | null;
}

export interface TraceStep {
  readonly kind: string;
  readonly at: number;
  readonly service: string;
  readonly summary: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface PredictionDetails {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly at: number;
  readonly error: string | null;
  readonly degraded: readonly string[];
  readonly candidates: readonly string[];
  readonly label: string;
  readonly score: number | null;
  readonly shown: unknown;
  readonly rows: readonly (readonly FeatureValue[])[];
  readonly steps: readonly TraceStep[];
}

export interface VersionAnswers {
  readonly version: number;
  readonly answers: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Share of the scores in each of 20 equal parts of [0, 1]; empty without scores. */
  readonly scores: readonly number[];
  readonly calibration: readonly {
    readonly score: number;
    readonly positive: number;
    readonly outcomes: number;
  }[];
}
