import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { type HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { Batcher } from '../batching/batcher.ts';
import { hasSharedRows } from '../batching/shared-rows.ts';
import { ALONE } from '../batching/work-queue.ts';
import type { FrameTensor, ReceivedTensor } from '../runner/frames.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import { toleranceOf } from './compare-golden.ts';
import { type ProbeRows, realRows } from './probe-rows.ts';
import type { RecentInputs } from './recent-inputs.ts';
import { judgeRows, type RowVerdict } from './row-independence.ts';
import type { WarmedVersion } from './version-runners.ts';
import { fitsModel } from './warm-up.ts';

const TRIES = 8;
/** Time between the first try and the second; each later gap doubles. */
const FIRST_GAP_MS = 5_000;
/** Timeout of one run, including its wait in the queue. */
const RUN_MS = 10_000;

export interface RunSharingAdapters {
  readonly batcher: Batcher;
  readonly recent: RecentInputs;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunSharingOptions {
  /** Key of the recent inputs. */
  readonly model: string;
  readonly executionProviders: readonly ExecutionProvider[];
}

/**
 * Lets a version's requests share runs when its warm-up has shown that they may. If the warm-up could not decide, it
 * tries again with inputs that were answered since: through the queue, one run after the other, a few rows each,
 * which delays other requests as much as five requests would. It tries a few times at most, and stops when the rows
 * turn out to be dependent or a runner was lost.
 */
export class RunSharing {
  readonly #adapters: RunSharingAdapters;
  readonly #options: RunSharingOptions;
  readonly #loaded: LoadedModel;
  #triesLeft = TRIES;
  #gapMs = FIRST_GAP_MS;
  #nextAt = Number.NEGATIVE_INFINITY;
  #state: 'waiting' | 'trying' | 'over';

  constructor({ model, rows }: WarmedVersion, adapters: RunSharingAdapters, options: RunSharingOptions) {
    this.#loaded = model;
    this.#adapters = adapters;
    this.#options = options;
    this.#state = rows === 'unknown' && hasSharedRows(model) ? 'waiting' : 'over';
    adapters.batcher.setShareable(rows === 'independent');
  }

  /** Call regularly while the version accepts work. */
  async probe(): Promise<void> {
    const { recent, clock, log } = this.#adapters;
    if (this.#state !== 'waiting' || clock.monotonic() < this.#nextAt) return;
    const rows = realRows(recent.of(this.#options.model).filter((inputs) => fitsModel(this.#loaded, inputs)));
    if (rows.length === 0) return;
    this.#state = 'trying';
    try {
      this.#learn(await this.#judge(rows));
    } catch (error) {
      if (toHotloopError(error).reason === 'runner_lost') this.end();
      log.info({ error }, 'the probe whether requests may share runs failed');
    }
    this.#nextAt = clock.monotonic() + this.#gapMs;
    this.#gapMs *= 2;
    this.#tried();
  }

  /** Call when the version is loaded again: results that arrive later are ignored. */
  end(): void {
    this.#state = 'over';
  }

  #tried(): void {
    this.#triesLeft--;
    if (this.#state === 'trying') this.#state = this.#triesLeft > 0 ? 'waiting' : 'over';
  }

  #learn(verdict: RowVerdict): void {
    if (this.#state === 'over' || verdict === 'unknown') return;
    this.end();
    if (verdict === 'dependent') return;
    this.#adapters.batcher.setShareable(true);
    this.#adapters.log.info(
      'its requests share runs from now on: a probe with real rows found them independent',
    );
  }

  #judge(rows: readonly ProbeRows[]): Promise<RowVerdict> {
    const { executionProviders } = this.#options;
    return judgeRows(
      {
        run: (tensors) => this.#run(tensors),
        toleranceOf: (datatype, values) => toleranceOf({ executionProviders }, datatype, values),
        isLate: () => false,
      },
      rows,
    );
  }

  /** Undefined when the model rejects the rows. */
  #run(tensors: readonly FrameTensor[]): Promise<readonly ReceivedTensor[] | undefined> {
    const { batcher, clock } = this.#adapters;
    const inputs = tensors.map(({ datatype, shape, pieces }) => ({
      datatype,
      shape,
      contents: Buffer.concat(pieces),
    }));
    const submittedAt = clock.monotonic();
    return new Promise((resolve, reject) => {
      batcher.submit({
        inputs,
        rows: inputs[0]?.shape[0] ?? 1,
        priority: 0,
        submittedAt,
        deadlineAt: submittedAt + RUN_MS,
        shapeKey: ALONE,
        // No caller waits for the answer, so it is not retried if it ends a runner.
        losses: Number.POSITIVE_INFINITY,
        isOver: () => false,
        succeed: ({ outputs }) => resolve(outputs),
        fail: (error: HotloopError) => (error.reason === 'run_failed' ? resolve(undefined) : reject(error)),
        expire: () => {
          // A runner is working on it and may hang.
          this.end();
          reject(new Error('a run took too long'));
        },
      });
    });
  }
}
