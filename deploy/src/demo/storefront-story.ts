import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pastViews, type Session, sessionAt } from '@hotloop/example-storefront/session.ts';
import { createWorld, type Season, type Visitor, type World } from '@hotloop/example-storefront/world.ts';
import type { FollowUp, KnownSession, PastEvent, Story, StoryInput } from './story.ts';

const MODEL = fileURLToPath(new URL('../../../examples/storefront/model.yaml', import.meta.url));

const VISITORS = 3000;
const FIRST_SESSIONS = 5000;
/** Visits of a round before preferences change. */
const BEFORE_SHIFT = 500;
const LEARNING_VISITS = 5000;
const JUDGED_SESSIONS = 1200;
/** The outcome window of model.yaml, plus time for the slowest purchase to arrive through Kafka. */
const SETTLE_MS = 5000;
const ROUND_SIZE = 1_000_000;

/** The built-in shop: visitors change their preferences, and return from time to time. */
export function storefrontStory(seed: number): Story {
  const world = createWorld(seed, VISITORS);
  const seasonAt = (round: number, index: number): Season =>
    (round % 2 === 1) === index < BEFORE_SHIFT ? 'winter' : 'summer';
  return {
    title: 'a shop whose visitors change their taste',
    model: 'product-ranker',
    manifestYaml: readFileSync(MODEL, 'utf8'),
    first: {
      hidden: [32, 16],
      settings: {
        loss: 'binary_cross_entropy',
        optimizer: { kind: 'adam' },
        learningRate: 3e-3,
        trainable: 'all',
        epochs: 12,
        batch: 256,
        seed,
        validationFraction: 0.1,
        patience: 2,
      },
    },
    firstSessions: () => known(world, 'past', 0, FIRST_SESSIONS, 'winter'),
    pastEvents: () => world.visitors.flatMap((visitor) => pastEventsOf(world, visitor)),
    rounds: Number.POSITIVE_INFINITY,
    learningVisits: LEARNING_VISITS,
    settleMs: SETTLE_MS,
    visit(round, index) {
      const session = sessionAt(world, 'served', round * ROUND_SIZE + index, seasonAt(round, index));
      return {
        input: inputOf(session),
        truth: session.buys.map(Number),
        followUps: followUpsOf(session),
      };
    },
    judgedSessions: (round) =>
      known(world, 'judged', round * ROUND_SIZE, JUDGED_SESSIONS, seasonAt(round, BEFORE_SHIFT)),
    remark: (round, index) =>
      index === BEFORE_SHIFT
        ? `tastes shift: ${seasonAt(round, index)} begins, and visitors want other things`
        : undefined,
  };
}

function known(
  world: World,
  purpose: 'past' | 'judged',
  from: number,
  count: number,
  season: Season,
): readonly KnownSession[] {
  return Array.from({ length: count }, (_, offset) => {
    const session = sessionAt(world, purpose, from + offset, season);
    return {
      input: inputOf(session),
      past: pastEventsOf(world, session.visitor),
      labels: session.buys.map(Number),
    };
  });
}

function inputOf({ visitor, hour, shelf }: Session): StoryInput {
  return {
    entities: { user: visitor.id },
    request: { device: visitor.device, hour },
    candidates: shelf.map(({ id, category, price, rating }) => ({
      id,
      attributes: { category, price, rating },
    })),
  };
}

function pastEventsOf(world: World, visitor: Visitor): readonly PastEvent[] {
  return pastViews(world, visitor).map(({ product, agoMs }, position) => ({
    id: `past-${visitor.id}-${position}`,
    type: 'view',
    entity: { user: visitor.id },
    agoMs,
    fields: { item: product.id, category: product.category, price: product.price },
  }));
}

/** A view goes to the history; each purchase goes to the history and is also the outcome. */
function followUpsOf({ index, visitor, shelf, buys, viewed }: Session): readonly FollowUp[] {
  const user = visitor.id;
  const view: FollowUp = {
    outcomeTopic: undefined,
    key: user,
    id: `${index}-view`,
    type: 'view',
    delayMs: 200,
    data: { entity: { user }, item: viewed.id, category: viewed.category, price: viewed.price },
  };
  const purchases = shelf.flatMap((product, position): FollowUp[] => {
    if (!buys[position]) return [];
    const delayMs = 300 + 250 * position;
    const shared = { key: user, id: `${index}-${product.id}`, type: 'purchase', delayMs };
    const { id: item, category, price } = product;
    return [
      { ...shared, outcomeTopic: 'purchases', data: { user, item, price } },
      { ...shared, outcomeTopic: undefined, data: { entity: { user }, item, category, price } },
    ];
  });
  return [view, ...purchases];
}
