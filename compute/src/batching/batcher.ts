import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ReceivedTensor } from '../runner/frames.ts';
import { type Runner, RunnerFailure, RunnerGone, type RunResult } from '../runner/runner.ts';
import { BatchCost } from './batch-cost.ts';
import { GATHER_MS, rowsToSend } from './batch-policy.ts';
import { giveUp } from './give-up.ts';
import { joinInputs } from './join-inputs.ts';
import { RunnerPipeline, type SentBatch } from './runner-pipeline.ts';
import { hasSharedRows } from './shared-rows.ts';
import { splitOutputs } from './split-outputs.ts';
import type { WorkInput } from './work-input.ts';
import { ALONE, type Waiting, WorkQueue } from './work-queue.ts';

export interface WorkResult {
  /** In the order of the model's outputs. */
  readonly outputs: readonly ReceivedTensor[];
  /** Total time except the run: waiting in the queue, and transport to and from the runner. */
  readonly queueUs: number;
  readonly runUs: number;
  readonly batchRows: number;
}

/** One request for a run. Only the first call of `succeed`, `fail` or `expire` counts. */
export interface Work extends Waiting {
  readonly inputs: readonly WorkInput[];
  /** Milliseconds on the monotonic clock. */
  readonly submittedAt: number;
  shapeKey: string;
  /** Number of runners that ended while they ran this work. */
  losses: number;
  succeed(result: WorkResult): void;
  fail(error: HotloopError): void;
  /** The deadline passed while a runner had this work. */
  expire(): void;
}

export interface BatcherOptions {
  readonly maxBatchRows: number;
  readonly queueRows: number;
  /** Upper limit for the duration of a batch, so that the next one does not wait too long. */
  readonly targetUs: number;
  /** Timeout after which a runner that has not answered is treated as hung and killed. */
  readonly hangMs: number;
  onRun(rows: number, runUs: number): void;
  /** Called with work that was running alone when its runner ended. */
  onKiller(work: Work): void;
}

/** How many times the work of a lost batch is retried, each piece alone, before it fails. */
const MAX_LOSSES = 1;

/** Work is refused if it is expected to use more than this share of its remaining time. The estimate is a mean, so there must be a margin. */
const SHARE = 0.7;
const OUTLIER = 4;

/**
 * Connects callers with the runners of one version: a bounded queue, batching by policy, answers split per request.
 * It owns no runner: the caller that adds a runner removes it when it has ended.
 */
export class Batcher {
  /** Time inside the runner. */
  readonly cost = new BatchCost();
  /** Time from one answer to the next while there is work: the run, and all that surrounds it on a busy machine. */
  readonly pace = new BatchCost();
  readonly #options: BatcherOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #queue: WorkQueue<Work>;
  readonly #running = new Map<Runner, RunnerPipeline<Work>>();
  #shareable = false;
  #hasSharedRows = false;
  #isPumping = false;
  /** Arrival of the first work since this turn of the event loop began, or since the last batch was sent in it. */
  #gatheredSince: number | undefined;
  #closed: HotloopError | undefined;
  readonly #pumpSoon = () => {
    this.#isPumping = false;
    this.#gatheredSince = undefined;
    this.#pump();
  };

  constructor(options: BatcherOptions, clock: Clock, log: Log) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#queue = new WorkQueue(options.queueRows);
  }

  get shareable(): boolean {
    return this.#shareable && this.#hasSharedRows;
  }

  /**
   * False when rows of one run may influence each other: each request then runs alone. Requests also run alone when
   * the model's tensors do not share their first dimension.
   */
  setShareable(shareable: boolean): void {
    this.#shareable = shareable;
  }

  /** Requests waiting or running. */
  get inFlight(): number {
    let count = this.#queue.length;
    for (const { batches } of this.#running.values())
      for (const batch of batches) count += batch.works.length;
    return count;
  }

  /** Batches sent to runners and not yet answered. */
  get running(): number {
    let count = 0;
    for (const { batches } of this.#running.values()) count += batches.length;
    return count;
  }

  /**
   * Throws RESOURCE_EXHAUSTED when the queue is full or the deadline would pass in it; after `close`, the error given
   * there. Work submitted in one turn of the event loop is sent together; during a long turn, the work gathered so
   * far is sent early.
   */
  submit(work: Work): void {
    if (this.#closed) throw this.#closed;
    if (this.#isHopeless(work))
      throw new HotloopError(
        'RESOURCE_EXHAUSTED',
        'the queue for this model is too long to answer before the deadline',
        {
          reason: 'queue_full',
        },
      );
    this.#queue.push(work);
    this.#gatheredSince ??= work.submittedAt;
    if (work.submittedAt - this.#gatheredSince < GATHER_MS) this.#soon();
    else {
      this.#gatheredSince = work.submittedAt;
      this.#pump();
    }
  }

  add(runner: Runner): void {
    this.#running.set(runner, new RunnerPipeline());
    this.#hasSharedRows = hasSharedRows(runner.model);
    this.#soon();
  }

  /** Removes a runner that has ended or will end; its batches settle by themselves. */
  remove(runner: Runner): void {
    if (this.#running.get(runner)?.batches.length === 0) this.#running.delete(runner);
  }

  /** Call before killing a runner for a reason other than its work: the running work is then retried and not blamed. */
  pardon(runner: Runner): void {
    const pipeline = this.#running.get(runner);
    if (pipeline) pipeline.isPardoned = true;
  }

  /** Fails expired work and kills hung runners. Call every few milliseconds. */
  sweep(): void {
    const now = this.#clock.monotonic();
    for (const work of this.#queue.sweep(now)) giveUp(work, now);
    for (const [runner, pipeline] of this.#running) {
      const { batches } = pipeline;
      for (const batch of batches) for (const work of batch.works) if (work.deadlineAt <= now) work.expire();
      if (pipeline.runningMs(now) > this.#options.hangMs) {
        this.#log.error({ runner: runner.pid, batches: batches.length }, 'a runner hangs; it is killed');
        runner.kill();
      }
    }
  }

  /** Fails waiting work and everything submitted later. Running work settles by itself. */
  close(error: HotloopError): void {
    this.#closed ??= error;
    for (const work of this.#queue.clear()) work.fail(this.#closed);
  }

  /**
   * Whether the work ahead and the work itself will probably take longer than the caller waits, judged by the pace of recent
   * batches. Running such work anyway would make the work behind it miss its deadlines too: goodput drops to zero although
   * the runners are busy. Work with nothing ahead of it is always tried, so that a wrong estimate is corrected. Urgent work skips
   * that queue, so it is not checked.
   */
  #isHopeless({ priority, deadlineAt, submittedAt, rows: own }: Work): boolean {
    const runners = this.#running.size;
    if (priority > 0 || runners === 0) return false;
    let rows = this.#queue.rows;
    let runs = this.#queue.length;
    for (const pipeline of this.#running.values()) {
      rows += pipeline.rows;
      runs += pipeline.batches.length;
    }
    if (runs === 0) return false;
    const { maxBatchRows, targetUs } = this.#options;
    if (this.shareable) runs = Math.ceil(rows / this.cost.cap(maxBatchRows, targetUs));
    const waitMs = (runs * this.pace.estimate(rows / runs)) / 1000 / runners;
    return waitMs + this.pace.estimate(own) / 1000 > SHARE * (deadlineAt - submittedAt);
  }

  /** A runner that stood still for a while has not become slow, so one outlier counts as a few times the expected time. */
  #keepPace(rows: number, microseconds: number): void {
    const expected = this.pace.estimate(rows);
    this.pace.observe(rows, expected > 0 ? Math.min(microseconds, OUTLIER * expected) : microseconds);
  }

  #soon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(this.#pumpSoon);
  }

  #pump(): void {
    for (;;) {
      const runner = this.#leastBusy();
      const pipeline = runner && this.#running.get(runner);
      if (!pipeline) return;
      const { maxBatchRows, targetUs } = this.#options;
      const rows = rowsToSend({
        queuedRows: this.#queue.rows,
        runningBatches: pipeline.batches.length,
        runningRows: pipeline.rows,
        capRows: this.shareable ? this.cost.cap(maxBatchRows, targetUs) : 1,
      });
      if (rows === 0) return;
      const now = this.#clock.monotonic();
      const taken = this.#queue.take(rows, now);
      for (const work of taken.over) giveUp(work, now);
      if (taken.batch.length > 0) this.#send(runner, pipeline, { works: taken.batch, rows: taken.rows }, now);
    }
  }

  #leastBusy(): Runner | undefined {
    let best: Runner | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const [runner, { batches }] of this.#running)
      if (batches.length < fewest) {
        best = runner;
        fewest = batches.length;
      }
    return best;
  }

  #send(runner: Runner, pipeline: RunnerPipeline<Work>, batch: SentBatch<Work>, now: number): void {
    pipeline.push(batch, now);
    const timeoutMs = Math.max(1, Math.max(...batch.works.map(({ deadlineAt }) => deadlineAt)) - now);
    runner.run(joinInputs(batch.works, batch.rows), timeoutMs).then(
      (result) => {
        const settledAt = this.#clock.monotonic();
        const isFirst = pipeline.batches[0] === batch;
        const tookMs = pipeline.runningMs(settledAt);
        if (!pipeline.settle(batch, settledAt)) return;
        if (isFirst) this.#keepPace(batch.rows, tookMs * 1000);
        this.#answer(batch, result);
        this.#pump();
      },
      (error: unknown) => {
        if (error instanceof RunnerGone) {
          if (error.isBlameless) pipeline.isPardoned = true;
          this.#lost(runner, pipeline);
        } else if (pipeline.settle(batch, this.#clock.monotonic())) this.#refused(batch, error);
        this.#soon();
      },
    );
  }

  #answer(batch: SentBatch<Work>, result: RunResult): void {
    const now = this.#clock.monotonic();
    const { works, rows } = batch;
    this.cost.observe(rows, result.runUs);
    this.#options.onRun(rows, result.runUs);
    const outputs = splitOutputs(result.tensors, works);
    if (!outputs) {
      this.#log.warn(
        { rows },
        'the first dimension of an output is not the rows of the batch; requests run alone from now on',
      );
      this.#shareable = false;
      this.#again(works);
      return;
    }
    for (const [index, work] of works.entries()) {
      const totalUs = (now - work.submittedAt) * 1000;
      work.succeed({
        outputs: outputs[index] ?? [],
        queueUs: Math.max(0, Math.round(totalUs - result.runUs)),
        runUs: result.runUs,
        batchRows: rows,
      });
    }
  }

  /** The model rejected the batch. Each request is retried alone, which shows which one is to blame. */
  #refused(batch: SentBatch<Work>, error: unknown): void {
    const [only, ...others] = batch.works;
    const told =
      error instanceof RunnerFailure && error.cause instanceof HotloopError ? error.cause : undefined;
    if (told && told.code !== 'INVALID_ARGUMENT' && told.code !== 'INTERNAL' && told.code !== 'UNKNOWN') {
      // The error is not caused by one input: each request alone would get the same.
      for (const work of batch.works) work.fail(told);
      return;
    }
    if (others.length > 0 || !only) {
      this.#again(batch.works);
      return;
    }
    this.#log.warn({ error }, 'the model failed on an input');
    only.fail(
      told ??
        new HotloopError('INTERNAL', 'the model could not run this input', {
          reason: 'run_failed',
          cause: error,
        }),
    );
  }

  /**
   * Called for the first batch that reports the loss, on behalf of all batches of the runner. The running batch is
   * blamed, unless the runner was pardoned.
   */
  #lost(runner: Runner, pipeline: RunnerPipeline<Work>): void {
    this.#running.delete(runner);
    const { ran, waited } = pipeline.clear();
    const [only] = ran;
    if (ran.length === 1 && only && !pipeline.isPardoned) this.#options.onKiller(only);
    const again: Work[] = [];
    for (const work of ran) {
      if (pipeline.isPardoned) again.push(work);
      else if (work.losses >= MAX_LOSSES)
        work.fail(
          new HotloopError('UNAVAILABLE', 'the runner ended twice with this request', {
            reason: 'runner_lost',
          }),
        );
      else {
        work.losses++;
        again.push(work);
      }
    }
    this.#putBack(waited);
    this.#again(again);
  }

  #again(works: readonly Work[]): void {
    for (const work of works) work.shapeKey = ALONE;
    this.#putBack(works);
    this.#soon();
  }

  /** Puts work at the front of the queue. After `close` the queue is no longer read, so the work fails at once. */
  #putBack(works: readonly Work[]): void {
    if (this.#closed) for (const work of works) work.fail(this.#closed);
    else this.#queue.pushFront(works);
  }
}
