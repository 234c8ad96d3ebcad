import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { LabelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { ITEM_KEY, type OutcomeEvent } from '../datasets/join.ts';

const MAX_ID = 200;
const MAX_KEY = 500;
/** Postgres supports the years 4713 BC to 294276 AD; an outcome outside this narrower range is a mistake. */
const EARLIEST_MS = Date.UTC(1970, 0, 1);
const LATEST_AHEAD_MS = 24 * 3_600_000;

/** An outcome as reported, not validated yet. */
export interface ReportedOutcome {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly predictionId: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly value: AttributeValue | null;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** RFC 3339; the time of arrival when empty. */
  readonly occurredAt: string;
}

/** A validated outcome, ready to be stored. */
export interface AcceptedOutcome extends OutcomeEvent {
  readonly model: string;
}

/**
 * Validates a report against its model's manifest. Of the keys, only the declared ones and `item` are kept. Whether the
 * prediction exists is not checked, because its row may arrive later. Throws INVALID_ARGUMENT naming the field and the reason.
 */
export function acceptOutcome(
  report: ReportedOutcome,
  manifest: Manifest,
  rule: LabelRule,
  now: number,
): AcceptedOutcome {
  if (report.id === '' || report.id.length > MAX_ID || !isStorable(report.id))
    throw invalid('id', `must be a text of 1 to ${MAX_ID} characters; it makes repeated reports count once`);
  if (report.kind !== '' && report.kind !== 'label' && report.kind !== 'retract')
    throw invalid('kind', 'must be label or retract');
  const kind = report.kind === 'retract' ? 'retract' : 'label';
  const outcome: AcceptedOutcome = {
    id: report.id,
    model: manifest.name,
    source: report.source,
    kind,
    predictionId: predictionOf(report, manifest),
    keys: keysOf(report, manifest),
    value: kind === 'retract' ? null : report.value,
    attributes: report.attributes,
    occurredAt: timeOf(report.occurredAt, now),
  };
  if (!isStorable(outcome.value) || !isStorable(Object.entries(outcome.attributes)))
    throw invalid('attributes', 'must not hold the character U+0000, nor half of a surrogate pair');
  if (kind === 'label') rule.labelOf(outcome);
  return outcome;
}

function predictionOf(report: ReportedOutcome, manifest: Manifest): string | null {
  if (report.predictionId !== '') {
    const id = report.predictionId.toLowerCase();
    if (!isPredictionId(id))
      throw invalid('prediction_id', 'must be a UUID of version 7, as Predict returns it');
    return id;
  }
  if (manifest.outcome.join === undefined)
    throw invalid('prediction_id', `is needed: model ${manifest.name} declares no outcome.join`);
  return null;
}

function keysOf(report: ReportedOutcome, manifest: Manifest): Record<string, string> {
  const declared = manifest.outcome.join ?? [];
  const keys: Record<string, string> = Object.create(null);
  for (const name of new Set([...declared, ITEM_KEY])) {
    const value = Object.hasOwn(report.keys, name) ? report.keys[name] : undefined;
    if (value === undefined || value === '') {
      if (report.predictionId === '' && declared.includes(name))
        throw invalid(
          `keys.${name}`,
          `is needed: model ${manifest.name} joins outcomes by ${declared.join(', ')}`,
        );
      continue;
    }
    if (value.length > MAX_KEY || !isStorable(value))
      throw invalid(`keys.${name}`, `must be a text of at most ${MAX_KEY} characters`);
    keys[name] = value;
  }
  return keys;
}

function timeOf(text: string, now: number): number {
  if (text === '') return now;
  const ms = parseRfc3339(text);
  if (ms === null)
    throw invalid(
      'occurred_at',
      'must be a time of RFC 3339 with its offset, such as 2026-02-28T10:00:00Z, and a day that exists',
    );
  if (ms < EARLIEST_MS || ms > now + LATEST_AHEAD_MS)
    throw invalid('occurred_at', 'lies before 1970 or more than a day ahead');
  return ms;
}

/**
 * Whether Postgres can store every text of the outcome. Otherwise the statement for the whole batch would fail, and the same
 * batch would be delivered by its topic forever.
 */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  return !Array.isArray(value) || value.every(isStorable);
}

function invalid(field: string, rule: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `${field} ${rule}`, { reason: 'invalid_outcome' });
}
