import type { Tensor } from '@hotloop/model/tensor.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Journal } from '@hotloop/platform/journal/journal.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { InferItem, InferOutput } from '@hotloop/platform/ports/inference.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { WorkResult } from './batching/batcher.ts';
import { shapeKeyOf } from './batching/shared-rows.ts';
import type { WorkInput } from './batching/work-input.ts';
import { featureTensors } from './feature-tensors.ts';
import { checkPredictionId, checkRows } from './infer-checks.ts';
import { type LogPolicy, logPolicyOf } from './prediction-log/log-policy.ts';
import { keptInputs, LoggedTensors } from './prediction-log/logged-tensors.ts';
import type { PredictionRow } from './prediction-log/prediction-row.ts';
import type { LoadedModel } from './runner/load-options.ts';
import { firstNonFinite } from './runner/tensor-layout.ts';
import type { Fleet } from './slots/fleet.ts';
import type { Quarantine } from './slots/quarantine.ts';
import type { Serving, Slot } from './slots/slot.ts';

/** The request and its caller, as the log records them. */
export interface Question {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
  readonly caller: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly string[];
  readonly degraded: readonly string[];
  readonly statuses: Uint8Array;
  readonly priority: number;
  /** Milliseconds left until the deadline. */
  readonly timeoutMs: number;
  /** Time of the log row, milliseconds since 1970. Absent or 0: the time of the answer. */
  readonly atMs?: number | undefined;
  /** How likely it was that this version answers; absent or 0: 1. */
  readonly propensity?: number | undefined;
  /** True when the caller no longer waits; checked before the work runs. */
  isOver(): boolean;
}

export interface InferAdapters {
  readonly fleet: Fleet;
  readonly journal: Journal<PredictionRow>;
  readonly quarantine: Quarantine;
  readonly clock: Clock;
  readonly log: Log;
  /** Called for a request that was rejected before it was queued. */
  readonly onRefused?: (model: string, error: unknown) => void;
}

/** Facts about a version that every prediction needs, computed once. */
interface Prepared {
  readonly policy: LogPolicy;
  readonly allowsNonFinite: boolean;
  readonly inputs: LoggedTensors;
  readonly outputs: LoggedTensors;
}

/**
 * One inference: find the version, check the inputs, queue, run, check the answer, write the pair to the journal,
 * answer. An accepted request is in the journal before its caller gets the answer, also when it has failed.
 */
export class Infer {
  readonly #adapters: InferAdapters;
  readonly #node: string;
  readonly #prepared = new WeakMap<Slot['record'], Prepared>();
  #answers: Answer[] = [];
  /** Journals all rows of a batch one after another, while the code and data are in the CPU caches. */
  readonly #logAnswers = () => {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) this.#logAnswer(answer);
  };

  constructor(adapters: InferAdapters, node: string) {
    this.#adapters = adapters;
    this.#node = node;
  }

  /**
   * Runs feature rows for a model with one input, or one tensor per input. A version that is registered but not
   * loaded is loaded first.
   */
  rows(item: InferItem, isOver: () => boolean): Promise<InferOutput> {
    const { clock } = this.#adapters;
    const serving = this.acquire(item.model, item.version, item.timeoutMs);
    if (!(serving instanceof Promise)) return this.#rowsOn(serving, item, isOver);
    const askedAt = clock.monotonic();
    return serving.then((loaded) => {
      const timeoutMs = item.timeoutMs - (clock.monotonic() - askedAt);
      return this.#rowsOn(loaded, { ...item, timeoutMs }, isOver);
    });
  }

  /** As `Fleet.acquire`; also counts rejected requests. */
  acquire(model: string, version: number, timeoutMs: number): Serving | Promise<Serving> {
    const { fleet, onRefused } = this.#adapters;
    const refuse = (error: unknown): never => {
      onRefused?.(model, error);
      throw error;
    };
    try {
      const serving = fleet.acquire(model, version, timeoutMs);
      return serving instanceof Promise ? serving.catch(refuse) : serving;
    } catch (error) {
      return refuse(error);
    }
  }

  #rowsOn(serving: Serving, item: InferItem, isOver: () => boolean): Promise<InferOutput> {
    checkPredictionId(item.predictionId, this.#adapters.clock.now());
    const { model } = serving;
    if (item.tensors !== undefined && item.tensors.length > 0)
      return this.run(serving, { ...item, isOver }, featureTensors(item, item.tensors, model), item.rows, 0);
    checkRows(item, model);
    const input: WorkInput = {
      datatype: 'FP32',
      shape: [item.rows, item.columns],
      contents: item.features,
    };
    return this.run(serving, { ...item, isOver }, [input], item.rows, item.columns);
  }

  /**
   * Runs inputs that are already checked and in the order of the model's inputs. The prediction id was checked or
   * generated here. Rejects RESOURCE_EXHAUSTED (queue or log full), DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE (the
   * runner ended twice), INVALID_ARGUMENT `quarantined`, INTERNAL (`nonfinite_output`, `run_failed`).
   */
  run(
    serving: Serving,
    question: Question,
    inputs: readonly WorkInput[],
    rows: number,
    columns: number,
  ): Promise<InferOutput> {
    try {
      return this.#submit(serving, question, inputs, rows, columns);
    } catch (error) {
      this.#adapters.onRefused?.(question.model, error);
      throw error;
    }
  }

  #submit(
    serving: Serving,
    question: Question,
    inputs: readonly WorkInput[],
    rows: number,
    columns: number,
  ): Promise<InferOutput> {
    const { fleet, journal, quarantine, clock } = this.#adapters;
    const { slot, batcher } = serving;
    quarantine.check(slot, inputs);
    if (journal.full())
      throw new HotloopError('RESOURCE_EXHAUSTED', 'the prediction log is full; try again later', {
        reason: 'log_full',
      });
    const submittedAt = clock.monotonic();
    fleet.use(slot, submittedAt);
    const { promise, resolve, reject } = Promise.withResolvers<InferOutput>();
    const asked: Asked = { serving, question, inputs, rows, columns, isAnswered: false };
    batcher.submit({
      inputs,
      rows,
      priority: question.priority,
      submittedAt,
      deadlineAt: submittedAt + question.timeoutMs,
      shapeKey: shapeKeyOf(inputs, rows),
      losses: 0,
      isOver: question.isOver,
      succeed: (result) => this.#succeed(asked, result, resolve, reject),
      fail: (error) => this.#fail(asked, error, reject),
      expire: () => {
        if (!asked.isAnswered) this.#fail(asked, expired(), reject);
      },
    });
    return promise;
  }

  #succeed(asked: Asked, result: WorkResult, resolve: (output: InferOutput) => void, reject: Reject): void {
    const { slot, model } = asked.serving;
    if (asked.isAnswered) return;
    asked.isAnswered = true;
    const outputs = nameOutputs(model, result);
    const failure = this.#preparedOf(asked.serving).allowsNonFinite ? undefined : nonFinite(outputs);
    const { queueUs, runUs } = result;
    if (failure) slot.statistics.failed(queueUs + runUs, failure.code);
    else {
      const { predictionId } = asked.question;
      slot.statistics.succeeded(asked.rows, queueUs, runUs, this.#adapters.clock.now(), predictionId);
      this.#keepForWarmUp(asked);
    }
    if (this.#answers.push({ asked, outputs, result, failure, resolve, reject }) === 1)
      process.nextTick(this.#logAnswers);
  }

  #logAnswer({ asked, outputs, result, failure, resolve, reject }: Answer): void {
    const { queueUs, runUs } = result;
    try {
      this.#write(asked, outputs, result, failure ?? null).then(
        () => (failure ? reject(failure) : resolve({ outputs, queueUs, runUs })),
        reject,
      );
    } catch (error) {
      reject(error);
    }
  }

  /** Offers inputs that ran without error as warm-up data for the next version. */
  #keepForWarmUp({ serving: { slot }, inputs }: Asked): void {
    const { recent } = this.#adapters.fleet;
    // Few requests override a default, so such inputs are not representative.
    if (inputs.at(-1)?.index !== undefined) return;
    if (recent.isDue() && !this.#adapters.quarantine.knows(slot, inputs))
      recent.offer(slot.record.model, inputs);
  }

  #fail(asked: Asked, error: HotloopError, reject: Reject): void {
    if (asked.isAnswered) return;
    asked.isAnswered = true;
    asked.serving.slot.statistics.failed(0, error.code);
    try {
      this.#write(asked, null, NOTHING_RAN, error).then(
        () => reject(error),
        () => reject(error),
      );
    } catch (cause) {
      this.#adapters.log.warn(
        { error: cause, predictionId: asked.question.predictionId },
        'a failed prediction could not be logged',
      );
      reject(error);
    }
  }

  #write(
    asked: Asked,
    outputs: readonly Tensor[] | null,
    timing: Pick<WorkResult, 'queueUs' | 'runUs'>,
    error: HotloopError | null,
  ): Promise<void> {
    const { serving, question, inputs, rows, columns } = asked;
    const prepared = this.#preparedOf(serving);
    const { policy } = prepared;
    const keeps = policy.keepsTensors(question.predictionId);
    return this.#adapters.journal.append(
      {
        predictionId: question.predictionId,
        at: question.atMs || this.#adapters.clock.now(),
        model: question.model,
        version: question.version,
        variant: question.variant,
        propensity: question.propensity || 1,
        caller: question.caller,
        entities: policy.entities(question.entities),
        candidates: question.candidates,
        rows,
        columns,
        features: keeps ? keptInputs(prepared.inputs, policy, inputs, rows, columns) : null,
        inputSpec: columns > 0 ? '[]' : prepared.inputs.specification(inputs),
        statuses: keeps ? question.statuses : null,
        outputs: keeps && outputs ? prepared.outputs.contents(outputs) : null,
        outputSpec: outputs ? prepared.outputs.specification(outputs) : '[]',
        degraded: question.degraded,
        queueUs: Math.min(timing.queueUs, 0x7fffffff),
        runUs: Math.min(timing.runUs, 0x7fffffff),
        errorCode: error ? toHotloopError(error).code : null,
        errorMessage: error ? error.message : null,
        node: this.#node,
      },
      policy.durability,
    );
  }

  #preparedOf({ slot, model }: Serving): Prepared {
    const { record } = slot;
    let prepared = this.#prepared.get(record);
    if (!prepared) {
      const { inputs, optional = [], outputs } = model;
      const policy = logPolicyOf(record.manifest);
      prepared = {
        policy,
        allowsNonFinite: record.manifest.runtime.allow_nonfinite,
        inputs: new LoggedTensors([...inputs, ...optional], policy),
        outputs: new LoggedTensors(outputs, policy),
      };
      this.#prepared.set(record, prepared);
    }
    return prepared;
  }
}

interface Asked {
  readonly serving: Serving;
  readonly question: Question;
  readonly inputs: readonly WorkInput[];
  readonly rows: number;
  readonly columns: number;
  isAnswered: boolean;
}

/** An answer from a runner. It is logged before the caller gets it. */
interface Answer {
  readonly asked: Asked;
  readonly outputs: readonly Tensor[];
  readonly result: WorkResult;
  readonly failure: HotloopError | undefined;
  readonly resolve: (output: InferOutput) => void;
  readonly reject: Reject;
}

function expired(): HotloopError {
  return new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed while the model ran', {
    reason: 'expired',
  });
}

type Reject = (error: unknown) => void;

const NOTHING_RAN = { queueUs: 0, runUs: 0 } as const;

function nameOutputs(model: LoadedModel, result: WorkResult): Tensor[] {
  return result.outputs.map((output, index) => ({
    name: model.outputs[index]?.name ?? '',
    datatype: output.datatype,
    shape: output.shape,
    contents: output.contents,
  }));
}

function nonFinite(outputs: readonly Tensor[]): HotloopError | undefined {
  for (const output of outputs) {
    const index = firstNonFinite(output);
    if (index >= 0)
      return new HotloopError(
        'INTERNAL',
        `output ${output.name} is not a finite number at element ${index}: the model cannot take these features; \`hotloop features explain\` shows their values`,
        {
          reason: 'nonfinite_output',
        },
      );
  }
  return undefined;
}
