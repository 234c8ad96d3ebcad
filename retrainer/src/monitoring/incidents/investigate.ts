import { setTimeout as sleep } from 'node:timers/promises';
import { type LoggedInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { gateMetric } from '../../improve/gate.ts';
import { measure } from '../../improve/measure.ts';
import type { Trainer } from '../../improve/trainer.ts';
import {
  type FlatLayout,
  joinedValues,
  LOGGED_INPUTS,
  loggedColumns,
  loggedValues,
} from '../logged-values.ts';
import { readScoredRows, readVectors, type ScoredRow } from '../performance/scored-rows.ts';
import { sketchLayout } from '../sketches/feature-sketch.ts';
import type { Investigation } from './apply-signals.ts';
import { findOnset } from './find-onset.ts';
import type { Cost, Evidence, IncidentDraft } from './incident.ts';
import { replayCost, unknownCost } from './replay-cost.ts';

export interface InvestigateDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly score: Trainer['score'];
}

const LABELLED_ROWS = 2_000;
const LABELLED_DAYS = 60;
const LEAST_LABELLED = 100;
const BROKEN_ROWS = 500;
const SCORE_TIMEOUT_MS = 60_000;
/** How long a result is reused. Missing labels and rows may arrive sooner. */
const KEEP_MS = 10 * 60_000;
const KEEP_UNKNOWN_MS = 60_000;

/** If estimating the cost takes longer, the incident is reported without it, so that other alarms are not delayed; the cost follows. */
const MOST_WAIT_MS = 10_000;
const LATE = unknownCost('', 'it is still being estimated');
const MOST_KEPT = 1_000;
/** Features of one incident whose beginning is looked for. */
const MOST_DATED = 4;
/** Signals of values that are not there: other rows of the same time are as they should be. */
const ABSENCES: ReadonlySet<SignalKind> = new Set(['missing', 'join', 'stale']);

/** The judged window begins at `since`; the cause at `onset`, null where that is not known. */
interface CostWindow {
  readonly since: number;
  readonly onset: number | null;
}

const featuresOf = (draft: IncidentDraft): string[] => [
  ...new Set(draft.signals.flatMap(({ feature }) => feature ?? [])),
];

const keyOf = (draft: IncidentDraft, { version }: VersionRecord): string =>
  `${draft.model} ${version} ${draft.cause}`;

/** Estimates the cost of incidents and finds example predictions. Slow results are cached for ten minutes. */
export class Investigator {
  readonly #dependencies: InvestigateDependencies;
  readonly #costs = new Map<string, { readonly at: number; readonly cost: Cost | null }>();
  readonly #onsets = new Map<string, { readonly at: number; readonly onset: number | null }>();

  readonly #running = new Map<string, Promise<Cost | null>>();
  #last: Promise<void> = Promise.resolve();

  readonly #mostWaitMs: number;

  /** @param mostWaitMs how long an incident waits for its cost. */
  constructor(dependencies: InvestigateDependencies, mostWaitMs = MOST_WAIT_MS) {
    this.#dependencies = dependencies;
    this.#mostWaitMs = mostWaitMs;
  }

  /** For one evaluation of a model. `since`: the beginning of the judged window. */
  of(record: VersionRecord, since: number, now: number, signal: AbortSignal): Investigation {
    return {
      costOf: async (draft) => {
        const onset = await this.#onsetOf(draft, record, since, now);
        const key = `${keyOf(draft, record)} ${onset}`;
        const kept = this.#costs.get(key);
        if (kept && now - kept.at < (kept.cost?.known ? KEEP_MS : KEEP_UNKNOWN_MS)) return kept.cost;
        const running =
          this.#running.get(key) ??
          this.#start(key, now, () => this.#costOf(draft, record, { since, onset }, now, signal));
        const wait = new AbortController();
        const late = sleep(this.#mostWaitMs, LATE, { signal: wait.signal, ref: false });
        try {
          return await Promise.race([running, late]);
        } finally {
          wait.abort();
        }
      },
      evidenceOf: async (draft) =>
        this.#evidenceOf(draft, record, since, await this.#onsetOf(draft, record, since, now)),
    };
  }

  /** Estimates costs one at a time and caches each for later evaluations, also after the caller has stopped waiting. */
  #start(key: string, now: number, work: () => Promise<Cost | null>): Promise<Cost | null> {
    const startedAt = performance.now();
    const running = this.#last.then(work).then((cost) => {
      if (this.#costs.size > MOST_KEPT) this.#costs.clear();
      this.#costs.set(key, { at: now + performance.now() - startedAt, cost });
      return cost;
    });
    this.#running.set(key, running);
    this.#last = running.then(
      () => void this.#running.delete(key),
      () => void this.#running.delete(key),
    );
    return running;
  }

  /** When the cause began: as a changed producer tells it, or as the values of the features do. */
  async #onsetOf(
    draft: IncidentDraft,
    record: VersionRecord,
    since: number,
    now: number,
  ): Promise<number | null> {
    const told = draft.signals.flatMap(({ producer }) => producer?.firstAt ?? []);
    if (told.length > 0) return Math.min(...told);
    const features = featuresOf(draft);
    if (features.length === 0 || record.manifest.task === 'tensor') return null;
    const key = keyOf(draft, record);
    const kept = this.#onsets.get(key);
    if (kept && now - kept.at < KEEP_MS && kept.onset !== null) return kept.onset;
    const onset = await findOnset(this.#dependencies.pool, {
      ...{ record, now, features: features.slice(0, MOST_DATED) },
      // The change may be as old as the window.
      since: since - (now - since),
    });
    if (this.#onsets.size > MOST_KEPT) this.#onsets.clear();
    this.#onsets.set(key, { at: now, onset });
    return onset;
  }

  async #costOf(
    draft: IncidentDraft,
    record: VersionRecord,
    window: CostWindow,
    now: number,
    signal: AbortSignal,
  ): Promise<Cost | null> {
    const { manifest } = record;
    const quality =
      draft.signals.find(({ kind }) => kind === 'decay') ??
      draft.signals.find(({ kind }) => kind === 'estimated_decay');
    if (quality)
      return {
        ...{ metric: quality.unit, loss: quality.effect, low: quality.low, high: quality.high, known: true },
        method: quality.kind === 'decay' ? 'measured with labels' : 'estimated from calibrated scores',
      };
    if (manifest.task === 'tensor' || manifest.task === 'multilabel')
      return unknownCost('', `a model of task ${manifest.task} has no metric here`);
    const metric = gateMetric(manifest.task, manifest.training?.gate?.metric);
    const features = featuresOf(draft);
    if (features.length === 0)
      return unknownCost(
        metric,
        draft.signals.some(
          ({ source }) => source === 'traffic' || source === 'errors' || source.startsWith('caller '),
        )
          ? 'calls that are not answered have no metric'
          : 'no single feature is broken that rows could be scored again with',
      );
    try {
      return await this.#replay(draft, record, window, now, signal, metric);
    } catch (error) {
      if (error instanceof HotloopError) return unknownCost(metric, error.message);
      throw error;
    }
  }

  async #replay(
    draft: IncidentDraft,
    { manifest, bundleSha256, version }: VersionRecord,
    { since, onset }: CostWindow,
    now: number,
    signal: AbortSignal,
    metric: ReturnType<typeof gateMetric>,
  ): Promise<Cost> {
    const { pool, bundles, score } = this.#dependencies;
    const features = featuresOf(draft);
    const begunAt = onset ?? since;
    const layout = sketchLayout(manifest);
    const texts = new TextTable();
    const scored = await readScoredRows(
      pool,
      manifest,
      now - LABELLED_DAYS * 86_400_000,
      now,
      4 * LABELLED_ROWS,
    );
    const known = scored.rows.filter(({ label }) => label !== null);
    const earlier = known.filter(({ at }) => at < begunAt);
    // A new model may have labels only in the judged window itself: rows in which absent features were present.
    const isAbsence = draft.signals.every(({ kind }) => ABSENCES.has(kind));
    const labelled = (
      earlier.length >= LEAST_LABELLED || !isAbsence ? earlier : await this.#whole(known, features, manifest)
    ).slice(-LABELLED_ROWS);
    if (labelled.length < LEAST_LABELLED)
      return unknownCost(
        metric,
        `only ${labelled.length} labelled rows from before it; ${LEAST_LABELLED} are needed`,
      );
    const { rows, features: vectors } = await readVectors(pool, labelled, layout, texts);
    const broken = await this.#loggedSince(manifest, version, begunAt, layout, texts);
    const dataset = {
      rows: rows.length,
      columns: layout.width,
      ...(layout.isMatrix ? {} : { inputs: layout.inputs, texts: texts.texts }),
      features: vectors,
      labels: Float32Array.from(rows, ({ label }) => label ?? 0),
      weights: new Float32Array(rows.length).fill(1),
    };
    const ids = new Map(
      [...new Set(rows.map(({ predictionId }) => predictionId))].map((id, index) => [id, index]),
    );
    const groups = Uint32Array.from(rows, ({ predictionId }) => ids.get(predictionId)!);
    const { onnx } = await bundles.get(bundleSha256);
    const output = manifest.output === undefined ? {} : { output: manifest.output };
    return replayCost(
      manifest,
      features,
      { dataset, broken },
      { name: metric, higherIsBetter: metric !== 'rmse' && metric !== 'log_loss' },
      async (values, labels) => {
        const [scores] = await score(
          { models: [onnx], dataset: { ...dataset, features: values }, ...output },
          { timeoutMs: SCORE_TIMEOUT_MS, signal },
        );
        if (!scores) throw new HotloopError('INTERNAL', 'the model gave no scores');
        const { columns: width } = scores;
        return (sample) => {
          const chosen = new Float32Array(sample.length * width);
          for (const [at, row] of sample.entries())
            chosen.set(scores.values.subarray(row * width, (row + 1) * width), at * width);
          const own = Float32Array.from(sample, (row) => labels[row]!);
          const part = { labels: own, groups: Uint32Array.from(sample, (row) => groups[row]!) };
          return measure(
            manifest,
            metric,
            { columns: width, values: chosen },
            {
              ...dataset,
              rows: sample.length,
              ...part,
            },
          );
        };
      },
    );
  }

  /** Rows in which each of the features was present. */
  async #whole(
    rows: readonly ScoredRow[],
    features: readonly string[],
    manifest: Manifest,
  ): Promise<readonly ScoredRow[]> {
    const places = manifest.features.flatMap(({ name }, index) => (features.includes(name) ? [index] : []));
    const { rows: found } = await this.#dependencies.pool.query<{ prediction_id: string }>(
      `SELECT prediction_id FROM prediction WHERE prediction_id = ANY($1::uuid[]) AND statuses IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM unnest($2::int[]) AS place
           WHERE place >= length(statuses) OR get_byte(statuses, place) <> 0)`,
      [[...new Set(rows.map(({ predictionId }) => predictionId))], places],
    );
    const whole = new Set(found.map(({ prediction_id }) => prediction_id));
    return rows.filter(({ predictionId }) => whole.has(predictionId));
  }

  async #loggedSince(
    { name }: Manifest,
    version: number,
    since: number,
    layout: FlatLayout,
    texts: TextTable,
  ): Promise<Float32Array> {
    const { rows } = await this.#dependencies.pool.query<LoggedInputs>(
      `SELECT ${LOGGED_INPUTS} FROM prediction WHERE model = $1 AND version = $2 AND at >= to_timestamp($3 / 1000.0)
         AND "columns" = $4 AND features IS NOT NULL AND error_code IS NULL ORDER BY prediction_id DESC LIMIT $5`,
      [name, version, since, loggedColumns(layout), BROKEN_ROWS],
    );
    return joinedValues(rows.flatMap((row) => loggedValues(row, layout, texts) ?? []));
  }

  /** Predictions in which a named feature is not present; otherwise the newest since it began, or of the window. */
  async #evidenceOf(
    draft: IncidentDraft,
    record: VersionRecord,
    since: number,
    onset: number | null,
  ): Promise<Evidence> {
    const { manifest, model, version } = record;
    const index = manifest.features.findIndex(({ name }) =>
      draft.signals.some(({ feature }) => feature === name),
    );
    const { rows } = await this.#dependencies.pool.query<{ prediction_id: string }>(
      `SELECT prediction_id FROM prediction WHERE model = $1 AND version = $2 AND at >= to_timestamp($3 / 1000.0)
       ORDER BY ($4 >= 0 AND statuses IS NOT NULL AND length(statuses) > $4 AND get_byte(statuses, greatest($4, 0)) <> 0) DESC,
         prediction_id DESC LIMIT 5`,
      [model, version, onset ?? since, index],
    );
    const producer = draft.signals.find((signal) => signal.producer)?.producer;
    return {
      examples: rows.map(({ prediction_id }) => prediction_id),
      versions: [version],
      ...(onset === null ? {} : { beganAt: onset }),
      ...(producer ? { producer } : {}),
    };
  }
}
