import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  PARTS,
  readSessions,
  SessionFileError,
  type ShopperSession,
  sessionsOf,
} from '@hotloop/example-shoppers/shopper-session.ts';
import type { FollowUp, KnownSession, Story, StoryInput } from './story.ts';

const MODEL = fileURLToPath(new URL('../../../examples/shoppers/model.yaml', import.meta.url));
/** With fewer sessions, a part is too small for its role in the demonstration. */
const FEWEST_SESSIONS = 100;

/** Real sessions in the order of the year. Throws SessionFileError naming what the file lacks. */
export function shoppersStory(csv: string, seed: number): Story {
  const sessions = readSessions(csv);
  const first = sessionsOf(sessions, PARTS.first);
  const replayed = sessionsOf(sessions, PARTS.replayed);
  const judged = sessionsOf(sessions, PARTS.judged);
  for (const [months, part] of [
    [PARTS.first, first],
    [PARTS.replayed, replayed],
    [PARTS.judged, judged],
  ] as const)
    if (part.length < FEWEST_SESSIONS)
      throw new SessionFileError(
        `the file has ${part.length} sessions of ${months.join(', ')}; at least ${FEWEST_SESSIONS} are needed`,
      );
  return {
    title: `${sessions.length} real sessions of an online shop, in the order of the year`,
    model: 'purchase-intent',
    manifestYaml: readFileSync(MODEL, 'utf8'),
    first: {
      hidden: [64, 32],
      settings: {
        loss: 'binary_cross_entropy',
        optimizer: { kind: 'adam', weightDecay: 0.1 },
        learningRate: 3e-3,
        trainable: 'all',
        epochs: 40,
        batch: 64,
        seed,
        validationFraction: 0.2,
        patience: 6,
      },
    },
    firstSessions: () => first.map(known),
    pastEvents: () => [],
    rounds: 1,
    learningVisits: replayed.length,
    settleMs: 3000,
    visit(_round, index) {
      const session = replayed[index % replayed.length]!;
      const isNew = index < replayed.length;
      // A repeated session only maintains the traffic: it has another key, and no outcome is reported.
      const key = isNew ? session.key : `${session.key}-again-${Math.floor(index / replayed.length)}`;
      return {
        input: inputOf(session, key),
        truth: [Number(session.revenue)],
        followUps: isNew ? [endOf(session, index)] : [],
      };
    },
    judgedSessions: () => judged.map(known),
    remark(_round, index) {
      const month = replayed[index]?.month;
      return month !== undefined && month !== replayed[index - 1]?.month ? `${month} begins` : undefined;
    },
  };
}

function known(session: ShopperSession): KnownSession {
  return { input: inputOf(session, session.key), past: [], labels: [Number(session.revenue)] };
}

function inputOf(session: ShopperSession, key: string): StoryInput {
  return { entities: { session: key }, request: session.request, candidates: [] };
}

function endOf(session: ShopperSession, index: number): FollowUp {
  return {
    outcomeTopic: 'session-ends',
    key: session.key,
    id: session.key,
    type: 'session-end',
    delayMs: 200 + (index % 10) * 100,
    data: { session: session.key, revenue: session.revenue },
  };
}
