import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';

/** What to do about each kind of signal. docs/runbooks.md has a section for each, which holds this text. */
export const ADVICE: Readonly<Record<SignalKind, string>> = {
  drift: "Ask the feature's producer what changed. If the change is real and will stay, retrain.",
  missing:
    'Open an example with hotloop trace ID; look at the caller (request), the topic (history) or the table (reference).',
  out_of_range:
    "Often a change of unit. Compare the medians before and now; correct the producer, or the feature's range.",
  new_category: 'Add the values to one_hot in model.yaml and retrain, or correct the producer.',
  constant: 'Look for a default in the caller, or a join that finds nothing.',
  silence: "Look at the callers first, then at the front door's /readyz and at compute's journal.",
  traffic: 'Ask the callers.',
  errors:
    'See the codes in hotloop monitor MODEL. RESOURCE_EXHAUSTED: add replicas. INTERNAL: see the log of compute.',
  prediction_drift: 'Look for a drifted feature first; otherwise for a new version.',
  decay: 'Retrain; if a new version caused it, roll back.',
  estimated_decay: 'Wait for labels, or retrain if a feature drifted too.',
  domain_drift: 'Begin with the features that the alarm names.',
  label_drift:
    'Check first that outcomes still arrive whole (hotloop status), then whether the world changed.',
  concept_drift: 'Retrain, and look at thresholds: the scores are no probabilities until then.',
  schema: 'Ask who sends the field that the incident names.',
  stale: "Look at the table's loader, at HotloopEventsLate, and at hotloop tables list.",
  join: 'Compare a key of the table or of the outcome with the entity of a prediction (hotloop trace ID).',
  late_events: "Look at the producer's clock and its queue.",
  duplicates: 'Look for a caller that repeats requests, or a batch that is replayed.',
};
