export type { Attributes, AttributeValue } from './attributes.ts';
export type { CallPatience } from './call-context.ts';
export type { ClientOptions, RetryOptions, TlsOptions } from './client-options.ts';
export type { EventInput, EventsResult } from './events.ts';
export { type BatchResult, connect, HotloopClient } from './hotloop-client.ts';
export { type ClientErrorCode, HotloopClientError } from './hotloop-client-error.ts';
export type {
  ModelBundle,
  ModelDetails,
  ModelSummary,
  Models,
  ModelVersion,
  PromotionStep,
  PushResult,
  PushStep,
} from './models.ts';
export type { Operation } from './operation.ts';
export type { OutcomeInput, OutcomeResult } from './outcomes.ts';
export type { CandidateInput, FeatureReport, PredictInput, Prediction, RankedItem } from './prediction.ts';
export type { RetrainOptions, RetrainResult, Run, Runs } from './runs.ts';
export type { LoopState, Story, StoryStep } from './story.ts';
export type { TableSchema, TableUpload, UploadedTable } from './tables.ts';
