import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import { firstVersion } from '@hotloop/deploy/demo/first-version.ts';
import {
  desksOf,
  deskTopic,
  FILED_TOPIC,
  filedEvent,
  type Letter,
  letterManifest,
  REQUESTS_TOPIC,
} from '@hotloop/example-documents/letters.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import { type EventProducer, openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { type Figure, figure } from '../figure.ts';
import { readLettersData } from '../models/letters-data.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

/** Number of letters that version 1 is trained on, and number per round of learning from returned letters. */
const FIRST = 2000;
const ROUND = 4000;
const ROUNDS = 2;
const BATCH = 250;
const LIMIT_MS = 18 * 60_000;

/**
 * Letters of bank customers arrive on a topic; each is forwarded to the topic of a department. For each letter, the
 * department reports where it was finally filed: there, or at another department. The next versions are trained on
 * that. Accuracy is that of each live version on test letters that were not used for training.
 */
export const drillDocuments: Drill = async ({ say, data }): Promise<Figure[]> => {
  if (data === undefined) throw new RangeError('give the folder of banking77 with --data');
  const signal = AbortSignal.timeout(LIMIT_MS);
  const letters = await readLettersData(data);
  const { test } = letters;
  const train = shuffled(letters.train);
  const desks = desksOf(train);
  const manifestYaml = letterManifest(desks);
  const manifest = parseManifest(manifestYaml);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(
    await startBenchLocal(folder.path, { single: true, environment: { HOTLOOP_LOG_LEVEL: 'warn' }, signal }),
  );
  const client = stack.use(await connectTo(local, 30_000));
  const brokers = local.backing.kafkaBrokers.split(',');
  const producer = stack.use(await openProducer({ brokers, clientId: 'desks', log: silentLog() }));

  const known = train.slice(0, FIRST).map(({ text, desk }) => ({
    input: { request: bare({ text }), entities: bare<string>({}), candidates: [] },
    past: [],
    labels: [desks.indexOf(desk)],
  }));
  const settings = trainingSettings(manifest);
  const onnx = await firstVersion(manifest, { hidden: [], settings, classes: desks.length }, known, signal);
  const { version } = await client.models.push({ manifestYaml, onnx }).finished();
  await client.models.promote('letters', version.version).finished();
  const accuracies = [await accuracyOf(client, test)];
  say(`version 1 of ${FIRST} letters: accuracy ${accuracies[0]?.toFixed(3)}`);

  const deskOf = new Map(train.map(({ id, desk }) => [id, desk]));
  const seen = new Map<string, string>();
  for (const desk of desks) await producer.send(deskTopic(desk), []);
  stack.use(
    await startConsumer({
      ...{ brokers, clientId: 'desks', groupId: 'desks', topics: desks.map(deskTopic), log: silentLog() },
      parse: ({ topic, value }) => ({ topic, letter: letterIdOf(value) }),
      handle: (messages) =>
        file(
          producer,
          messages.map(({ value }) => value),
          deskOf,
          seen,
        ),
      keepDeadLetter: async () => undefined,
    }),
  );
  const rights: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const letters = train.slice(FIRST + round * ROUND, FIRST + (round + 1) * ROUND);
    for (let from = 0; from < letters.length; from += BATCH)
      await producer.send(REQUESTS_TOPIC, letters.slice(from, from + BATCH).map(requestOf));
    const arrived = () => letters.filter(({ id }) => seen.has(id)).length;
    for (let before = -1; arrived() < letters.length; await delay(500, undefined, { signal })) {
      if (Math.floor(arrived() / 1000) !== before)
        say(`${arrived()} of ${letters.length} letters reached a desk`);
      before = Math.floor(arrived() / 1000);
    }
    const right = letters.filter(({ id, desk }) => seen.get(id) === deskTopic(desk)).length / letters.length;
    rights.push(right);
    say(`round ${round + 1}: ${(100 * right).toFixed(1)} % of the letters went to the right desk at once`);
    await labelled(client, letters.length * (round + 1), signal);
    const { runId } = await client.retrain('letters', { reason: 'returned letters', signal });
    for await (const run of client.runs.watch(runId, { signal }))
      if (run.message !== '') say(`${run.state}: ${run.message}`);
    accuracies.push(await accuracyOf(client, test));
    say(`after round ${round + 1}: accuracy ${accuracies.at(-1)?.toFixed(3)}`);
  }
  return [
    figure('documents_accuracy', [accuracies.at(-1) ?? 0], { atLeast: 0.885 }),
    figure('documents_accuracy_first', [accuracies[0] ?? 0]),
    figure('documents_rise', [(accuracies.at(-1) ?? 0) - (accuracies[0] ?? 0)], { atLeast: 0.01 }),
    figure('documents_routed_first_round', [rights[0] ?? 0]),
    figure('documents_routed_last_round', [rights.at(-1) ?? 0]),
  ];
};

const requestOf = ({ id, text }: Letter) => ({
  key: id,
  value: JSON.stringify({ entities: { letter: id }, request: { text } }),
});

function letterIdOf(value: Uint8Array | null): string {
  const { entities } = JSON.parse(Buffer.from(value ?? []).toString()) as { entities: { letter: string } };
  return entities.letter;
}

/** Files each letter: at the department that received it or, if that was wrong, at the right one. */
async function file(
  producer: EventProducer,
  letters: readonly { topic: string; letter: string }[],
  deskOf: ReadonlyMap<string, string>,
  seen: Map<string, string>,
): Promise<void> {
  const filed = letters.filter(({ letter }) => !seen.has(letter));
  for (const { topic, letter } of filed) seen.set(letter, topic);
  await producer.send(
    FILED_TOPIC,
    filed.map(({ letter }) => ({
      key: letter,
      value: filedEvent(letter, deskOf.get(letter) ?? '', randomUUID(), new Date()),
    })),
  );
}

/** Waits until the labels have reached the loop. */
async function labelled(client: HotloopClient, wanted: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    // While thousands of letters are being joined, reading the counts may exceed a call's timeout.
    const loop = await client.loop('letters').catch(() => undefined);
    if (loop && loop.outcomes >= wanted && loop.outcomesUnmatched === 0) return;
    await delay(500, undefined, { signal });
  }
}

/** Share of letters with the right label, by the live version. */
async function accuracyOf(client: HotloopClient, letters: readonly Letter[]): Promise<number> {
  let right = 0;
  for (let from = 0; from < letters.length; from += BATCH) {
    const batch = letters.slice(from, from + BATCH);
    const answers = await Promise.all(
      batch.map(({ text }) => client.predict('letters', { request: { text } })),
    );
    right += answers.filter(({ label }, at) => label === batch[at]?.desk).length;
  }
  return right / letters.length;
}

function shuffled(letters: readonly Letter[]): Letter[] {
  const random = new SeededRandom(1);
  return letters
    .map((letter) => ({ letter, at: random.uniform() }))
    .sort((a, b) => a.at - b.at)
    .map(({ letter }) => letter);
}

function bare<Value>(values: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, values);
}
