import { parse } from 'csv-parse/sync';

/** One letter and the desk that it belongs to. */
export interface Letter {
  readonly id: string;
  readonly text: string;
  readonly desk: string;
}

/** Reads `text,category` lines of the Banking77 data (PolyAI, Casanueva and others, 2020; CC BY 4.0). Throws RangeError. */
export function readLetters(csv: string, prefix: string): readonly Letter[] {
  const rows = parse(csv, { columns: true, bom: true, skip_empty_lines: true }) as Record<string, string>[];
  return rows.map(({ text, category }, index) => {
    if (!text || !category) throw new RangeError(`letter ${index + 1} has no text or no category`);
    return { id: `${prefix}-${index + 1}`, text, desk: category };
  });
}

/** The desks in the order of the model's classes. */
export function desksOf(letters: readonly Letter[]): readonly string[] {
  return [...new Set(letters.map(({ desk }) => desk))].sort();
}

export const REQUESTS_TOPIC = 'letters';
export const FILED_TOPIC = 'letters-filed';
export const deskTopic = (desk: string): string => `desk.${desk.replaceAll(/[^A-Za-z0-9._-]/g, '_')}`;

/** The event with which a department files a letter: at the desk where it belongs. `id` is unique among the events. */
export function filedEvent(letter: string, desk: string, id: string, at: Date): string {
  return JSON.stringify({
    ...{ specversion: '1.0', id, source: '/desks', type: 'filed', time: at.toISOString() },
    data: { keys: { letter }, desk },
  });
}

/** model.yaml of the router: hashed words and pairs of words, one class for each desk. */
export function letterManifest(desks: readonly string[]): string {
  return `# Which department does a letter belong to? Letters come from a topic; each is sent on to its department's topic.
name: letters
task: multiclass
features:
  - {name: text, from: request.text, transform: [{text: {ngrams: [1, 2], buckets: 4096, norm: l2}}]}
decision: {labels: ${JSON.stringify(desks)}}
kafka: {requests: ${REQUESTS_TOPIC}, replies_by_label: "desk.{label}"}
outcome:
  from: kafka:${FILED_TOPIC}
  join: [letter]
  label: "event.desk"
  window: 1h
training:
  network: {kind: logistic}
  loss: {cross_entropy: {label_smoothing: 0.05}}   # some letters could go to two desks
  optimizer: {sgd: {learning_rate: 8, momentum: 0.9}}   # texts have length 1, so steps may be long
  schedule: {kind: cosine}
  epochs: 16
  batch: 64
  holdout: 0.1
  gate: {metric: accuracy, at_least: 0.0, min_examples: 100}
rollout: {mode: at_once, promote: automatic}
`;
}
