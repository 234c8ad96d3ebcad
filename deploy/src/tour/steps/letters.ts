import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  desksOf,
  deskTopic,
  FILED_TOPIC,
  filedEvent,
  letterManifest,
  REQUESTS_TOPIC,
  readLetters,
} from '@hotloop/example-documents/letters.ts';
import {
  drawScan,
  firstScanVersion,
  SCANS_FILED_TOPIC,
  SCANS_TOPIC,
  scanManifest,
} from '@hotloop/example-documents/scans.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import type { RawMessage } from '@hotloop/platform/kafka/message.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

/** Every fifth letter of the training file: enough to route most letters correctly, and trained within seconds. */
const EVERY = 5;
const ROUTED = 300;
const DESKS = 12;

const letters: TourStep = {
  name: 'letters-by-topic',
  about:
    'A text model learns from letters of bank customers; letters on a topic go to the topic of their department.',
  async run(context) {
    const trainFile = context.dataFile('banking77/train.csv');
    const testFile = context.dataFile('banking77/test.csv');
    if (trainFile === undefined || testFile === undefined) return { skipped: 'no Banking77 data here' };
    const all = readLetters(await readFile(trainFile, 'utf8'), 'train');
    const desks = desksOf(all).slice(0, DESKS);
    const known = all.filter(({ desk }, index) => desks.includes(desk) && index % EVERY !== 0);
    const data = await context.write(
      'letters/train.jsonl',
      known.map(({ text, desk }) => `${JSON.stringify({ text, desk })}\n`).join(''),
    );
    const manifest = await context.write('letters/model.yaml', letterManifest(desks));
    const { version } = await context.json<{ version: number }>(
      ...['train', data, '--model', manifest, '--label', 'desk'],
    );
    await context.json('promote', 'letters', String(version), '--reason', 'first version');

    const sent = readLetters(await readFile(testFile, 'utf8'), 'test')
      .filter(({ desk }) => desks.includes(desk))
      .slice(0, ROUTED);
    const arrived = new Map<string, string>();
    for (const desk of desks) await context.producer.send(deskTopic(desk), []);
    await using _consumer = await startConsumer({
      ...deskReader(context, 'desks', desks),
      handle: async (messages) => {
        for (const { value } of messages) arrived.set(value.letter, value.topic);
      },
      keepDeadLetter: async () => undefined,
    });
    await context.producer.send(
      REQUESTS_TOPIC,
      sent.map(({ id, text }) => ({
        key: id,
        value: JSON.stringify({ entities: { letter: id }, request: { text } }),
      })),
    );
    await context.until(
      'every letter at a department',
      async () => (arrived.size === sent.length ? true : undefined),
      60_000,
    );
    // A department returns a letter with the right department: the outcome that the next version is trained on.
    await context.producer.send(
      FILED_TOPIC,
      sent.map(({ id, desk }) => ({ key: id, value: filedEvent(id, desk, randomUUID(), new Date()) })),
    );
    await context.until('the outcomes of all letters', async () => {
      const { outcomes, outcomesUnmatched } = await context.client.loop('letters');
      return outcomes === sent.length && outcomesUnmatched === 0 ? true : undefined;
    });
    const right = sent.filter(({ id, desk }) => arrived.get(id) === deskTopic(desk)).length / sent.length;
    expectThat(right > 0.7, 'most letters at the right department', `${(100 * right).toFixed(0)} % are`);
    return `${sent.length} letters routed, ${(100 * right).toFixed(0)} % to the right one of ${desks.length} departments`;
  },
};

/** Number of scans per department; departments whose form has a new edition later, and number of its scans. */
const SCANS = 8;
const RENEWED = 3;
const RENEWED_SCANS = 24;

interface Scan {
  readonly id: string;
  readonly desk: string;
  readonly scan: string;
}

const scans: TourStep = {
  name: 'scans-by-topic',
  about:
    'An image model routes scanned forms by topic. Departments change their forms, return what they get wrongly, and the next version has learned the new forms.',
  async run(context) {
    const desks = Array.from({ length: DESKS }, (_, index) => `department ${index + 1}`);
    const manifestYaml = scanManifest(desks);
    const onnx = await firstScanVersion(desks, context.signal);
    const { version } = await context.client.models.push({ manifestYaml, onnx }).finished();
    await context.client.models.promote('scans', version.version).finished();
    const random = new SeededRandom(12);
    for (const desk of desks) await context.producer.send(deskTopic(desk), []);
    const arrived = new Map<string, string>();
    await using _consumer = await startConsumer({
      ...deskReader(context, 'scan desks', desks),
      handle: async (messages) => {
        for (const { value } of messages) arrived.set(value.letter, value.topic);
      },
      keepDeadLetter: async () => undefined,
    });
    /** Sends scans; returns which share reached the right department. */
    const route = async (sent: readonly Scan[]) => {
      await context.producer.send(
        SCANS_TOPIC,
        sent.map(({ id, scan }) => ({
          key: id,
          value: JSON.stringify({ entities: { letter: id }, request: { scan } }),
        })),
      );
      await context.until(
        'every scan at a department',
        async () => (sent.every(({ id }) => arrived.has(id)) ? true : undefined),
        60_000,
      );
      return sent.filter(({ id, desk }) => arrived.get(id) === deskTopic(desk)).length / sent.length;
    };
    const drawn = (name: string, count: number, departments: number, edition: number): Scan[] =>
      Array.from({ length: count * departments }, (_, index) => ({
        id: `${name}-${index}`,
        desk: desks[index % departments] as string,
        scan: drawScan(index % departments, random, edition).png.toString('base64'),
      }));
    const known = drawn('scan', SCANS, DESKS, 1);
    const right = await route(known);
    expectThat(right > 0.9, 'nearly all scans at the right department', `${percent(right)} are`);

    const renewed = drawn('renewed', RENEWED_SCANS, RENEWED, 2);
    const before = await route(renewed);
    await context.producer.send(
      SCANS_FILED_TOPIC,
      [...known, ...renewed].map(({ id, desk }) => ({
        key: id,
        value: filedEvent(id, desk, randomUUID(), new Date()),
      })),
    );
    await context.until('the outcomes of all scans', async () => {
      const { outcomes, outcomesUnmatched } = await context.client.loop('scans');
      return outcomes === known.length + renewed.length && outcomesUnmatched === 0 ? true : undefined;
    });
    const run = await context.json<{ version: number }>('retrain', 'scans', '--reason', 'returned scans');
    const after = await route(drawn('later', SCANS, RENEWED, 2));
    expectThat(after > 0.9, 'the new forms at the right departments', `${percent(after)} are`);
    return (
      `${percent(right)} of ${known.length} scans at the right one of ${desks.length} departments; of new forms ` +
      `${percent(before)} before, and ${percent(after)} after version ${run.version} learned from the returned scans`
    );
  },
};

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

/** Reads which letter or scan was routed to which topic. */
function deskReader(context: TourContext, groupId: string, desks: readonly string[]) {
  return {
    ...{ brokers: context.local.backing.kafkaBrokers.split(','), clientId: groupId, groupId },
    ...{ topics: desks.map(deskTopic), log: silentLog() },
    parse: ({ topic, value }: RawMessage) => {
      const { entities } = JSON.parse(Buffer.from(value ?? []).toString()) as {
        entities: { letter: string };
      };
      return { letter: entities.letter, topic };
    },
  };
}

export const LETTER_STEPS: readonly TourStep[] = [letters, scans];
