import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';

type Fields = Readonly<Record<string, number | string | boolean>>;

/** What a prediction is asked with, as both the client and the feature plan take it. */
export interface StoryInput {
  readonly entities: Readonly<Record<string, string>>;
  readonly request: Fields;
  readonly candidates: readonly { readonly id: string; readonly attributes: Fields }[];
}

/** Something that happened to an entity before the story begins. */
export interface PastEvent {
  readonly id: string;
  readonly type: string;
  readonly entity: Readonly<Record<string, string>>;
  readonly agoMs: number;
  readonly fields: Fields;
}

/** A session whose end is known: what version 1 learns from, and what versions are judged on. */
export interface KnownSession {
  readonly input: StoryInput;
  /** What the session's visitor brings along; empty where the model reads no history. */
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
  /** After the answer. */
  readonly delayMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One visit that is served live. */
export interface Visit {
  readonly input: StoryInput;
  /** What the visitor would do, one per row: known to the story alone, for the status line. */
  readonly truth: readonly number[];
  readonly followUps: readonly FollowUp[];
}

/** How version 1 is learnt. */
export interface FirstTraining {
  readonly hidden: readonly number[];
  /** How many, for task multiclass. */
  readonly classes?: number;
  readonly settings: TrainingSettings;
}

/** What a demonstration needs to know of its example. Everything in it follows from a seed or a file. */
export interface Story {
  readonly title: string;
  readonly model: string;
  readonly manifestYaml: string;
  readonly first: FirstTraining;
  /** Sessions version 1 learns from. */
  firstSessions(): readonly KnownSession[];
  /** What is published before the first visit. */
  pastEvents(): readonly PastEvent[];
  /** How many rounds of learning it can tell; each replaces the version before. */
  readonly rounds: number;
  /** Visits with outcomes in each round, before the next version is learnt. */
  readonly learningVisits: number;
  /** How long after the last of them every outcome is there, the outcome window included. */
  readonly settleMs: number;
  /** The n-th visit of a round, from 0; beyond `learningVisits` the traffic that goes on meanwhile. */
  visit(round: number, index: number): Visit;
  /** Later sessions that no version has learnt from. */
  judgedSessions(round: number): readonly KnownSession[];
  /** A sentence for the reader, when this visit is the one that begins something new. */
  remark(round: number, index: number): string | undefined;
}
