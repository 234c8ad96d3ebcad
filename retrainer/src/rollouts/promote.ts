import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';
import {
  eventOfReports,
  type NodeReport,
  PROMOTION_TRANSITIONS,
  type PromotionEvent,
  type PromotionState,
} from './promotion-state.ts';
import {
  clearTarget,
  type Flip,
  flip,
  hasVersion,
  type ModelState,
  readModelState,
  readNodeReports,
  setTarget,
} from './promotion-store.ts';

export interface PromotionProgress {
  readonly state: Exclude<PromotionState, 'requested'>;
  readonly message: string;
  /** 0 when nothing was live. */
  readonly fromVersion: number;
  readonly toVersion: number;
  readonly generation: number;
}

export interface PromoteInput {
  readonly model: string;
  readonly version: number;
  /** The generation the caller saw; 0 skips the check. */
  readonly expectedGeneration: number;
  readonly actor: string;
}

export interface PromotionOptions {
  /** How long nodes may take to load and warm the version. */
  readonly timeoutMs: number;
  readonly pollMs: number;
  /** How long a failure that stood there before this promotion is taken for an old one, while the node tries again. */
  readonly oldFailureMs: number;
}

export const PROMOTION_DEFAULTS: PromotionOptions = { timeoutMs: 120_000, pollMs: 100, oldFailureMs: 5_000 };

export interface PromotionDependencies {
  readonly pool: Pool;
  readonly clock: Clock;
}

export type Report = (progress: PromotionProgress) => void;

/**
 * Makes a version live: wishes it loaded, waits until every compute node that is alive has it ready, then flips with one
 * compare-and-swap. Nothing but that moment changes what serves, so a promotion lost half way leaves the old version
 * live, and running it again is safe. Resolves with the new generation.
 *
 * Rejects NOT_FOUND (model, version), ABORTED (another promotion or rollback came first, or the expected generation is
 * not the model's), FAILED_PRECONDITION (a node cannot load it; with the node's reason), DEADLINE_EXCEEDED (not ready in time), CANCELLED.
 */
export async function promote(
  input: PromoteInput,
  dependencies: PromotionDependencies,
  options: PromotionOptions,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const { pool } = dependencies;
  const { model, version } = input;
  const before = await readModelState(pool, model);
  if (!(await hasVersion(pool, model, version)))
    throw new HotloopError('NOT_FOUND', `model ${model} has no version ${version}`);
  if (input.expectedGeneration !== 0 && input.expectedGeneration !== before.generation)
    throw new HotloopError(
      'ABORTED',
      `model ${model} is at generation ${before.generation}, not ${input.expectedGeneration}; look again before promoting`,
      { reason: 'generation_moved' },
    );
  const walk = new PromotionWalk(input, before, report);
  if (before.liveVersion === version) return walk.alreadyLive();
  const knownFailures = failedNodes(await readNodeReports(pool, model, version));
  if (!(await setTarget(pool, model, version, before.generation))) throw walk.overtaken();
  walk.apply('target_set', `asking every compute node to load version ${version}`);
  try {
    await waitUntilReady(walk, knownFailures, dependencies, options, signal);
    return await swap(walk, 'promote', dependencies);
  } catch (error) {
    await clearTarget(pool, model, version, before.generation).catch(() => undefined);
    throw error;
  }
}

/**
 * Back to the previous version. It is still loaded everywhere, so the first look finds it ready and the flip is immediate;
 * a node that lost it is waited for. Rejects as `promote` does, and FAILED_PRECONDITION when there is no previous version.
 */
export async function rollback(
  model: string,
  actor: string,
  dependencies: PromotionDependencies,
  options: PromotionOptions,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const before = await readModelState(dependencies.pool, model);
  const version = before.previousVersion;
  if (version === null)
    throw new HotloopError('FAILED_PRECONDITION', `model ${model} has no previous version to go back to`, {
      reason: 'no_previous_version',
    });
  const walk = new PromotionWalk({ model, version, expectedGeneration: 0, actor }, before, report);
  walk.apply('target_set', `going back to version ${version}`);
  await waitUntilReady(walk, new Set(), dependencies, options, signal);
  return swap(walk, 'rollback', dependencies);
}

async function swap(
  walk: PromotionWalk,
  action: Flip['action'],
  { pool, clock }: PromotionDependencies,
): Promise<number> {
  const { model, version, actor } = walk.input;
  walk.apply('flip_begun', 'every node is ready; flipping');
  const at = clock.now();
  const generation = await flip(pool, {
    model,
    version,
    generation: walk.before.generation,
    action,
    actor,
    at,
  });
  if (generation === null) throw walk.overtaken();
  walk.apply('flipped', `version ${version} is live`, generation);
  return generation;
}

async function waitUntilReady(
  walk: PromotionWalk,
  knownFailures: ReadonlySet<string>,
  { pool, clock }: PromotionDependencies,
  options: PromotionOptions,
  signal: AbortSignal,
): Promise<void> {
  const { model, version } = walk.input;
  const begun = clock.monotonic();
  const stillOld = new Set(knownFailures);
  for (;;) {
    const now = await readModelState(pool, model);
    const isTarget = now.targetVersion === version || now.previousVersion === version;
    if (now.generation !== walk.before.generation || !isTarget) throw walk.overtaken();
    const reports = await readNodeReports(pool, model, version);
    for (const report of reports) if (report.state !== 'failed') stillOld.delete(report.node);
    if (clock.monotonic() - begun >= options.oldFailureMs) stillOld.clear();
    const believed = reports.map((report) =>
      stillOld.has(report.node) ? { ...report, state: 'cold' } : report,
    );
    const event = eventOfReports(believed);
    walk.apply(event, describe(event, believed));
    if (event === 'nodes_ready') return;
    if (event === 'node_failed')
      throw walk.failed('FAILED_PRECONDITION', failedReport(believed)?.reason || 'load_failed');
    if (clock.monotonic() - begun >= options.timeoutMs) {
      walk.apply('timed_out', `not ready after ${options.timeoutMs} ms: ${describe(event, believed)}`);
      throw walk.failed('DEADLINE_EXCEEDED', 'load_timed_out');
    }
    await sleep(options.pollMs, undefined, { signal });
  }
}

/** Applies events to the state table and reports each change. */
class PromotionWalk {
  readonly input: PromoteInput;
  readonly before: ModelState;
  readonly #report: Report;
  #state: PromotionState = 'requested';
  #message = '';

  constructor(input: PromoteInput, before: ModelState, report: Report) {
    this.input = input;
    this.before = before;
    this.#report = report;
  }

  apply(event: PromotionEvent, message: string, generation = this.before.generation): void {
    const next = PROMOTION_TRANSITIONS[this.#state][event];
    if (next === null || next === 'requested')
      throw new HotloopError('INTERNAL', `a promotion that is ${this.#state} cannot take ${event}`);
    if (next === this.#state && message === this.#message) return;
    this.#state = next;
    this.#message = message;
    this.#tell(next, message, generation);
  }

  alreadyLive(): number {
    const { generation } = this.before;
    this.#tell('live', `version ${this.input.version} is live already`, generation);
    return generation;
  }

  overtaken(): HotloopError {
    this.apply('overtaken', `another promotion or rollback of ${this.input.model} came first`);
    return this.failed('ABORTED', 'overtaken');
  }

  failed(code: ErrorCode, reason: string): HotloopError {
    const { model, version } = this.input;
    return new HotloopError(code, `version ${version} of ${model} did not become live: ${this.#message}`, {
      reason,
    });
  }

  #tell(state: PromotionProgress['state'], message: string, generation: number): void {
    const fromVersion = this.before.liveVersion ?? 0;
    this.#report({ state, message, fromVersion, toVersion: this.input.version, generation });
  }
}

function failedNodes(reports: readonly NodeReport[]): Set<string> {
  return new Set(reports.filter((report) => report.state === 'failed').map((report) => report.node));
}

function failedReport(reports: readonly NodeReport[]): NodeReport | undefined {
  return reports.find((report) => report.state === 'failed');
}

function describe(event: PromotionEvent, reports: readonly NodeReport[]): string {
  if (reports.length === 0) return 'no compute node has been seen in the last 10 s';
  const failed = failedReport(reports);
  if (event === 'node_failed' && failed)
    return `node ${failed.node}: ${failed.detail || 'it cannot be loaded'}`;
  const ready = reports.filter((report) => report.state === 'ready').length;
  return `${ready} of ${reports.length} nodes ready`;
}
