import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { LEAST_LABELS } from '../performance/judge-quality.ts';
import type { Quality } from '../performance/quality.ts';

/** Parts of a report that can be empty, each with one sentence that says why and what to do. Absent: not empty. */
export interface ReportGaps {
  readonly calls?: string;
  readonly features?: string;
  readonly baseline?: string;
  readonly quality?: string;
  readonly decay?: string;
  readonly incidents?: string;
}

export interface GapFacts {
  readonly model: string;
  /** Undefined while no version is live. */
  readonly manifest: Manifest | undefined;
  readonly calls: number;
  /** Milliseconds since 1970; null: never. */
  readonly lastCallAt: number | null;
  readonly since: number;
  readonly features: number;
  /** Why features were not judged. */
  readonly notJudged: readonly string[];
  readonly baseline: string | null;
  readonly hasOutcomes: boolean;
  readonly quality: readonly Quality[];
  /** Labelled rows of the live version in the last seven days. */
  readonly weekLabels: number;
  readonly incidents: number;
}

/** Says why parts of a report are empty. Pure. */
export function reportGaps(facts: GapFacts): ReportGaps {
  const { model, manifest, calls, since, features, notJudged, baseline, incidents } = facts;
  const gaps: Partial<Record<keyof ReportGaps, string>> = {};
  if (calls === 0)
    gaps.calls =
      facts.lastCallAt === null
        ? `no call has been logged yet: call it, such as with hotloop predict ${model}`
        : `no call since ${timeText(since)}; the last was at ${timeText(facts.lastCallAt)}`;
  if (features === 0) gaps.features = notJudged[0] ?? 'no row of this time has been summarised yet';
  if (baseline === null)
    gaps.baseline =
      manifest?.task === 'tensor'
        ? 'a model of task tensor declares no features'
        : 'drift is not judged: there is nothing to compare with yet';
  const quality = qualityGap(facts);
  if (quality !== null) gaps.quality = quality;
  else if (facts.weekLabels < LEAST_LABELS)
    gaps.decay = `decay is not judged: ${facts.weekLabels} labelled rows of the live version in seven days; ${LEAST_LABELS} are needed`;
  if (incidents === 0) gaps.incidents = `no incident since ${timeText(since)}`;
  return gaps;
}

function qualityGap({ model, manifest, hasOutcomes, quality, calls }: GapFacts): string | null {
  if (!manifest) return `no version is live: hotloop model promote ${model} VERSION`;
  if (manifest.task === 'tensor') return 'quality is not judged: a model of task tensor has no metric';
  if (!hasOutcomes)
    return 'quality and decay are not judged, and no cost can be estimated: no outcome has come yet (docs/outcomes.md)';
  if (quality.some(({ measured, estimated }) => measured !== null || estimated !== null)) return null;
  if (quality.length === 0)
    return calls === 0
      ? 'quality is not judged: there are no calls of this time'
      : 'quality is computed every five minutes: look again';
  const rows = quality.reduce((sum, one) => sum + one.rows, 0);
  const labelled = quality.reduce((sum, one) => sum + one.labelled, 0);
  return `quality is not judged: ${labelled} of ${rows} rows have labels, too few, or of one class only`;
}

const timeText = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
