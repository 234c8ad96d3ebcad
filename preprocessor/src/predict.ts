import { compileFeaturePlan, type FeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { FEATURE_STATUS_NAMES } from '@hotloop/model/features/feature-status.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Attributes } from '@hotloop/model/value.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { DecideItem, DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import { chooseVersion } from '@hotloop/platform/registry/choose-version.ts';
import { findFresh } from '@hotloop/platform/registry/find-fresh.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { versionCache } from '@hotloop/platform/registry/version-cache.ts';
import type { Span, SpanKind, Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { type ErrorCode, HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { PredictionIds } from '@hotloop/proto/prediction-id.ts';
import { Admission, type AdmissionLimits } from './admission.ts';
import type { HistoryGate } from './history/history-gate.ts';
import type { ImageDecoder } from './images/decode-images.ts';
import { MissingShares } from './missing-shares.ts';
import type { NamedFeatureStatus, Prediction, PredictionCall, PredictionRequest } from './prediction.ts';
import { runPipeline } from './run-pipeline.ts';
import { startCopies } from './send-copies.ts';
import type { ReferenceReader } from './tables/reference-reader.ts';
import { validateCandidates, validateRequest } from './validate-request.ts';

export interface PredictDependencies {
  readonly registry: RegistryReader;
  readonly history: HistoryGate;
  /** Without it, features of reference tables use their missing value. */
  readonly references?: ReferenceReader;
  readonly images: ImageDecoder;
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  readonly tracing: Tracing;
  readonly clock: Clock;
}

export interface PredictOptions {
  readonly limits: AdmissionLimits;
  readonly ids: PredictionIds;
  readonly log: Log;
}

/**
 * Answers one prediction. Rejects with HotloopError: INVALID_ARGUMENT (the request), NOT_FOUND (model, version),
 * RESOURCE_EXHAUSTED (overload), DEADLINE_EXCEEDED, CANCELLED, and the errors of compute and postprocessor. A
 * repeated prediction_id is answered again; the logs keep one row of it.
 */
export interface Predictor extends Disposable {
  predict(request: PredictionRequest, call: PredictionCall): Promise<Prediction>;
  /**
   * The error with which a prediction would be rejected now because of load; checked before a request is read, so
   * that a rejection costs almost nothing. Undefined also when another model could answer instead.
   */
  refusal(model: string, call: Pick<PredictionCall, 'caller' | 'timeoutMs'>): HotloopError | undefined;
  /** Predictions in flight. */
  readonly inFlight: number;
}

export function createPredictor(dependencies: PredictDependencies, options: PredictOptions): Predictor {
  const { registry, history, references, images, inference, decision, tracing, clock } = dependencies;
  const plans = versionCache(registry, (record) => compileFeaturePlan(record.manifest));
  const shares = versionCache(registry, (record) => new MissingShares(record.manifest));
  const find = findFresh(registry, () => clock.monotonic());
  const admission = new Admission(options.limits);
  const copies = startCopies({
    history,
    ...(references ? { references } : {}),
    ...{ images, inference },
    planOf: (record) => plans.of(record),
    log: options.log,
  });

  /** The model's own answer or, if it cannot answer and its manifest names a fallback model, that model's. */
  async function predict(asked: PredictionRequest, call: PredictionCall): Promise<Prediction> {
    const begun = clock.monotonic();
    const predictionId = asked.predictionId === '' ? options.ids.next(clock.now()) : asked.predictionId;
    const request = { ...asked, predictionId };
    try {
      return await answer(request, call);
    } catch (error) {
      const fallback = fallbackOf(registry, request.model, error);
      if (fallback === undefined) throw error;
      const timeoutMs = call.timeoutMs - (clock.monotonic() - begun);
      try {
        const other = await answer({ ...request, model: fallback, version: '' }, { ...call, timeoutMs });
        return { ...other, degraded: [...other.degraded, 'fallback'] };
      } catch {
        throw error;
      }
    }
  }

  /** @param within the prediction whose pipeline this is a step of. */
  async function answer(
    given: PredictionRequest,
    call: PredictionCall,
    within?: Within,
  ): Promise<Prediction> {
    using admitted = admission.admit(given.model, call.timeoutMs, clock.monotonic());
    const nowMs = clock.now();
    const deadline = clock.monotonic() + call.timeoutMs;
    const timeLeft = () => remaining(deadline - clock.monotonic(), call.signal);

    validateRequest(given, nowMs);
    const { record, variant, propensity, shadows } = await find((snapshot) =>
      chooseVersion(snapshot, given.model, given.version, given),
    );
    const { model, version, manifest } = record;
    const plan = plans.of(record);
    validateCandidates(given, manifest, plan.columns);
    admitted.hold(plan.columns * Math.max(1, given.candidates.length));

    const { predictionId } = given;
    // All steps of a pipeline belong to the trace of the whole prediction.
    const tracedAs = within?.tracedAs ?? predictionId;
    const isTraced = tracing.sampled(tracedAs);
    const sampled = isTraced && within === undefined;
    const root = isTraced
      ? tracing.span(within === undefined ? 'predict' : 'pipeline step', {
          predictionId: tracedAs,
          sampled: isTraced,
          root: within === undefined,
          kind: within === undefined ? 'server' : 'internal',
          links: given.traceparent === '' ? [] : [given.traceparent],
          attributes: { 'hotloop.model': model, 'hotloop.version': version, 'hotloop.variant': variant },
        })
      : undefined;
    /** Runs a step under its own span; the span is only created if it is recorded. */
    const step = <T>(name: string, kind: SpanKind, run: () => Promise<T>): Promise<T> =>
      isTraced ? ended(tracing.span(name, { predictionId: tracedAs, sampled: isTraced, kind }), run) : run();
    try {
      const steps = manifest.pipeline;
      const depth = within?.depth ?? 0;
      const { request, degraded: degradedSteps } =
        steps === undefined
          ? { request: given, degraded: NOT_DEGRADED }
          : await step('pipeline', 'internal', () =>
              runPipeline(steps, given, depth, (asked) =>
                answer(asked, { ...call, timeoutMs: timeLeft() }, { tracedAs, depth: depth + 1 }),
              ),
            );
      const { rows, events, found } = await step('features', 'internal', async () => {
        const reads = plan.needsHistory ? plan.reads(request, nowMs) : [];
        const lookups = plan.needsReference ? plan.references(request) : [];
        const [events, found, decoded] = await Promise.all([
          reads.length === 0 ? [] : history.read(reads, timeLeft(), call.signal),
          lookups.length === 0 ? [] : (references?.read(lookups, timeLeft()) ?? null),
          plan.needsImages ? images.decode(plan, request) : request,
        ]);
        return { events, found, rows: plan.run(decoded, events, nowMs, found) };
      });
      const degraded = [
        ...new Set([
          ...degradedSteps,
          ...(events === null ? ['history'] : []),
          ...(found === null ? ['reference'] : []),
          ...shares.of(record).record(rows.statuses),
        ]),
      ];

      const inferred = await step('infer', 'client', () =>
        inference.infer(
          {
            ...{ predictionId, model, version, variant, sampled, degraded },
            ...{
              caller: call.caller,
              entities: request.entities,
              priority: 0,
              timeoutMs: forCompute(timeLeft()),
            },
            candidates: request.candidates.map(({ id }) => id),
            ...{ atMs: nowMs, propensity },
            ...rows,
          },
          call.signal,
        ),
      );

      const decided = await step('decide', 'client', () =>
        decision.decide(
          {
            ...{ predictionId, model, version, variant, sampled, outputs: inferred.outputs },
            ...signals(request, manifest),
            ...{ excluded: plan.excluded(request, events), timeoutMs: timeLeft() },
          },
          call.signal,
        ),
      );
      if (shadows.length > 0) copies.send(request, shadows, { predictionId, caller: call.caller, nowMs });
      const featureStatuses = request.wantFeatureStatuses
        ? nameStatuses(plan, rows.statuses, request.candidates)
        : [];
      admitted.answered(clock.monotonic());
      return { predictionId, model, version, variant, decision: decided, featureStatuses, degraded };
    } catch (error) {
      root?.fail(error);
      const known = toHotloopError(error);
      if (isOverload(known)) admitted.late(clock.monotonic());
      if (known.code === 'INTERNAL')
        options.log.error({ predictionId, model, version, error }, 'a prediction failed');
      throw error;
    } finally {
      root?.end();
    }
  }

  return {
    predict,
    refusal(model, { timeoutMs }) {
      const refusal = admission.refusal(model, timeoutMs, clock.monotonic());
      return refusal === undefined || fallbackOf(registry, model, refusal) !== undefined
        ? undefined
        : refusal;
    },
    get inFlight() {
      return admission.inFlight;
    },
    [Symbol.dispose]() {
      plans[Symbol.dispose]();
      shares[Symbol.dispose]();
    },
  };
}

/** Failures of the model, not of the request. */
const CANNOT_ANSWER: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'DATA_LOSS',
]);

/**
 * The fallback model named in the live version's manifest; undefined if there is none, or when the request is to
 * blame.
 */
function fallbackOf(registry: RegistryReader, name: string, error: unknown): string | undefined {
  if (!CANNOT_ANSWER.has(toHotloopError(error).code)) return undefined;
  const model = registry.current().models.get(name);
  return model?.versions.get(model.liveVersion ?? 0)?.manifest.rollout.fallback;
}

/** Expired, or rejected because of load. A full log or quota says nothing about the speed of a model. */
function isOverload({ code, reason }: HotloopError): boolean {
  return (
    code === 'DEADLINE_EXCEEDED' ||
    (code === 'RESOURCE_EXHAUSTED' && (reason === 'queue_full' || reason === 'too_many_in_flight'))
  );
}

/** For a step of a pipeline: the id that names the trace of the whole, and the nesting depth. */
interface Within {
  readonly tracedAs: string;
  readonly depth: number;
}

const RESERVED_SHARE = 0.1;
const MOST_RESERVED_MS = 50;

const NOT_DEGRADED: readonly string[] = [];
const NO_ENTITIES: DecideItem['entities'] = Object.freeze(Object.create(null) as Record<string, string>);
const NOTHING: Attributes = Object.freeze(Object.create(null) as Attributes);

/**
 * The data that the decision may use in addition to the score: only `combine` does, so without it nothing else is
 * sent.
 */
function signals(
  { request, entities, candidates }: PredictionRequest,
  { decision }: Manifest,
): Pick<DecideItem, 'request' | 'entities' | 'candidates'> {
  if (decision.combine !== undefined) return { request, entities, candidates };
  return {
    request: NOTHING,
    entities: NO_ENTITIES,
    candidates: candidates.map(({ id }) => ({ id, attributes: NOTHING })),
  };
}

/** Milliseconds left. Throws when there are none, or the caller no longer waits: expired work never starts. */
function remaining(leftMs: number, signal: Cancellation): number {
  if (signal.aborted) throw new HotloopError('CANCELLED', 'the caller cancelled the prediction');
  if (leftMs <= 0)
    throw new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed before the prediction was made');
  return Math.max(1, Math.floor(leftMs));
}

/** Reserves time for the way back from the model: a run that ends at the deadline is useless. */
function forCompute(leftMs: number): number {
  return Math.max(1, leftMs - Math.min(MOST_RESERVED_MS, RESERVED_SHARE * leftMs));
}

async function ended<T>(span: Span, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}

function nameStatuses(
  plan: FeaturePlan,
  statuses: Uint8Array,
  candidates: readonly { readonly id: string }[],
): NamedFeatureStatus[] {
  const names = plan.featureNames;
  return Array.from(statuses, (status, at) => ({
    feature: names[at % names.length] ?? '',
    status: FEATURE_STATUS_NAMES[status] ?? 'MISSING',
    candidate: candidates[Math.floor(at / names.length)]?.id ?? '',
  }));
}
