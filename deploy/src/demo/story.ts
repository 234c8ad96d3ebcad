import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';

type Fields = Readonly<Record<string, number | string | boolean>>;

/** The input of a prediction, for both the client and the feature plan. */
export interface StoryInput {
  readonly entities: Readonly<Record<string, string>>;
  readonly request: Fields;
  readonly candidates: readonly { readonly id: string; readonly attributes: Fields }[];
}

/** An event before the demonstration starts. */
export interface PastEvent {
  readonly id: string;
  readonly type: string;
  readonly entity: Readonly<Record<string, string>>;
  readonly agoMs: number;
  readonly fields: Fields;
}

/** A session with known outcome, for training version 1 and for evaluating versions. */
export interface KnownSession {
  readonly input: StoryInput;
  /** Past events of the session's visitor; empty if the model reads no history. */
  readonly past: readonly PastEvent[];
  /** One per row: per candidate, or one. */
  readonly labels: readonly number[];
}

/** An event that follows a visit, as it is published. */
export interface FollowUp {
  /** Undefined: the topic that the preprocessor reads into the history. */
  readonly outcomeTopic: string | undefined;
  readonly key: string;
  readonly id: string;
  readonly type: string;
  /** Delay after the answer. */
  readonly delayMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One visit that is served live. */
export interface Visit {
  readonly input: StoryInput;
  /** What the visitor would do, one per row: only known here, for the status line. */
  readonly truth: readonly number[];
  readonly followUps: readonly FollowUp[];
}

/** How version 1 is trained. */
export interface FirstTraining {
  readonly hidden: readonly number[];
  /** Number of classes, for task multiclass. */
  readonly classes?: number;
  readonly settings: TrainingSettings;
}

/** What a demonstration needs to know about its example. Everything in it is determined by a seed or a file. */
export interface Story {
  readonly title: string;
  readonly model: string;
  readonly manifestYaml: string;
  readonly first: FirstTraining;
  /** Sessions for training version 1. */
  firstSessions(): readonly KnownSession[];
  /** Events that are published before the first visit. */
  pastEvents(): readonly PastEvent[];
  /** Number of learning rounds that it supports; each replaces the previous version. */
  readonly rounds: number;
  /** Visits with outcomes in each round, before the next version is trained. */
  readonly learningVisits: number;
  /** Time after the last of these visits until every outcome has arrived, including the outcome window. */
  readonly settleMs: number;
  /** The n-th visit of a round, from 0; beyond `learningVisits` these are the traffic that continues meanwhile. */
  visit(round: number, index: number): Visit;
  /** Later sessions that no version was trained on. */
  judgedSessions(round: number): readonly KnownSession[];
  /** A remark for the reader, when this visit starts something new. */
  remark(round: number, index: number): string | undefined;
}
