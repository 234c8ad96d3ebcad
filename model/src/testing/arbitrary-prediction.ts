import fc from 'fast-check';
import type { FeatureInput } from '../features/feature-plan.ts';
import type { Feature } from '../features/feature-schema.ts';
import type { HistoryEvent } from '../features/history.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { Attributes, AttributeValue } from '../value.ts';
import { manifestOf, record } from './manifests.ts';

/** The reference time of all generated data; ages are relative to it. */
export const NOW_MS = Date.UTC(2026, 0, 15, 12);

const EVENTS = ['view', 'buy'] as const;
const FIELDS = ['price', 'label', 'seen'] as const;
const WORDS = ['red', 'blue', 'größe', '🛒', ''] as const;

const finite = fc.oneof(
  fc.double({ min: -1e4, max: 1e4, noNaN: true }),
  fc.integer({ min: -3, max: 12 }),
  fc.constantFrom(0, -0, 1e30, -1e38, 1e300),
);

const anyHash = fc.oneof(
  fc.constantFrom(7, 1024),
  fc.record({ buckets: fc.constantFrom(5, 1000), function: fc.constant('murmur3' as const) }),
);

const numberTransform = fc.oneof(
  fc.constant('log1p' as const),
  fc.constant('abs' as const),
  fc.record({ standardize: fc.record({ mean: fc.constantFrom(0, 5, -2.5), std: fc.constantFrom(0.5, 3) }) }),
  fc.record({ scale: fc.constantFrom({ min: 0, max: 10 }, { min: -5, max: 5 }) }),
  fc.record({ clip: fc.constantFrom([-1, 1] as [number, number], [0, 1000] as [number, number]) }),
  fc.record({ bucketize: fc.constantFrom([0, 1, 10, 100], [2.5]) }),
  fc.record({ hash: anyHash }),
);
const numberOneHot = fc.record({ one_hot: fc.constantFrom([0, 1, 2, 3], [5]) });
const textEnd = fc.oneof(
  fc.record({ one_hot: fc.constantFrom(['red', 'blue'], ['🛒', 'größe', 'red']) }),
  fc.record({ hash: anyHash }),
);

const chains = {
  number: fc
    .tuple(
      fc.array(
        numberTransform.filter((step) => typeof step === 'string' || !('hash' in step)),
        { maxLength: 3 },
      ),
      fc.option(fc.oneof(numberOneHot, fc.record({ hash: fc.constant(7) })), { nil: undefined }),
    )
    .map(([steps, end]) => (end ? [...steps, end] : steps)),
  text: textEnd.map((end) => [end]),
  flag: fc.constantFrom([], [{ one_hot: [true, false] }]),
};

const missingOf: Record<keyof typeof chains, fc.Arbitrary<number | string | boolean>> = {
  number: fc.constantFrom(0, -1.5, 7),
  text: fc.constantFrom('red', '?'),
  flag: fc.boolean(),
};

const FOLDS = [
  ...['sum(price)', 'mean(price)', 'sum(seen)', 'min(price)', 'max(price)', 'max(seen)'],
  ...['distinct(label)', 'distinct(price)'],
] as const;

const duration = fc.constantFrom('10m', '2h', '3d', '40d');

function featureOf(index: number, ranking: boolean): fc.Arbitrary<Feature> {
  const type = fc.constantFrom('number' as const, 'text' as const, 'flag' as const);
  const entity = fc.constantFrom(...(ranking ? ['user', 'item'] : ['user']));
  const event = fc.constantFrom(...EVENTS);
  const field = fc.constantFrom(...FIELDS);
  const plain = fc
    .tuple(fc.constantFrom(...(ranking ? ['request', 'item'] : ['request'])), field, type)
    .map(([source, name, kind]) => ({ from: `${source}.${name}`, kind }));
  const identity = entity.map((name) => ({ from: `entity.${name}`, kind: 'text' as const }));
  const folded = fc
    .tuple(entity, event, fc.constantFrom('count', 'seconds_since', ...FOLDS))
    .map(([who, what, fold]) => ({ from: `history.${who}.${what}.${fold}`, kind: 'number' as const }));
  const last = fc
    .tuple(entity, event, fc.integer({ min: 1, max: 4 }), field, type)
    .map(([who, what, count, name, kind]) => ({
      from: `history.${who}.${what}.last(${count}).${name}`,
      kind,
    }));
  return fc.oneof(plain, identity, folded, last).chain(({ from, kind }) =>
    fc
      .record({
        transform: chains[kind] as fc.Arbitrary<Feature['transform']>,
        missing: fc.option(missingOf[kind], { nil: undefined, freq: 4 }),
        range:
          kind === 'number'
            ? fc.option(fc.constant([-100, 1e5] as [number, number]), { nil: undefined, freq: 2 })
            : fc.constant(undefined),
        window: fc.option(duration, { nil: undefined }),
        max_age: fc.option(duration, { nil: undefined, freq: 2 }),
      })
      .map(({ window, max_age: maxAge, ...rest }) => {
        const timed = from.startsWith('history.') ? { window, max_age: maxAge } : {};
        const all = { name: `f${index}`, from, type: kind, ...rest, ...timed };
        return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Feature;
      }),
  );
}

const attribute = (name: string): fc.Arbitrary<AttributeValue> =>
  name === 'price' ? finite : name === 'label' ? fc.constantFrom(...WORDS) : fc.boolean();

/** Mostly of the right type, sometimes absent, occasionally of a wrong type. */
const attributes: fc.Arbitrary<Attributes> = fc
  .tuple(
    ...FIELDS.map((name) =>
      fc
        .oneof(
          { weight: 12, arbitrary: attribute(name) },
          { weight: 2, arbitrary: fc.constant(undefined) },
          { weight: 1, arbitrary: fc.constantFrom<AttributeValue>('text', 3, false, [1, 2], ['a']) },
          { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY) },
        )
        .map((value) => [name, value] as const),
    ),
  )
  .map((entries) =>
    record(Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Attributes),
  );

const events: fc.Arbitrary<HistoryEvent[]> = fc
  .uniqueArray(
    fc.record({
      atMs: fc.integer({ min: 0, max: 60 * 86_400_000 }).map((ago) => NOW_MS - ago),
      fields: attributes.map((fields) =>
        record(
          Object.fromEntries(
            Object.entries(fields).filter(
              ([, value]) => !Object.is(value, Number.NaN) && value !== Number.POSITIVE_INFINITY,
            ),
          ),
        ),
      ),
    }),
    { maxLength: 6, selector: ({ atMs }) => atMs },
  )
  .map((list) =>
    list
      .sort((a, b) => b.atMs - a.atMs)
      .map((event, index) => ({ ...event, id: `e${index}`, fields: event.fields as Attributes })),
  );

export interface ArbitraryPrediction {
  readonly manifest: Manifest;
  readonly input: FeatureInput;
  /** Keyed by `entity:id:event`. */
  readonly history: ReadonlyMap<string, readonly HistoryEvent[]>;
}

const CANDIDATES = ['i1', 'i2', 'i3', 'i4'] as const;

/** A manifest of any features that the schema allows, a request for it, and a history. */
export const arbitraryPrediction: fc.Arbitrary<ArbitraryPrediction> = fc.boolean().chain((ranking) =>
  fc
    .record({
      features: fc
        .integer({ min: 1, max: 6 })
        .chain((count) =>
          fc.tuple(...Array.from({ length: count }, (_, index) => featureOf(index, ranking))),
        ),
      request: attributes,
      user: fc.option(fc.constantFrom('u1', 'u2'), { nil: undefined, freq: 5 }),
      candidates: ranking
        ? fc
            .subarray([...CANDIDATES], { minLength: 1 })
            .chain((ids) =>
              fc.tuple(...ids.map((id) => attributes.map((own) => ({ id: id as string, attributes: own })))),
            )
        : fc.constant([]),
      lists: fc.tuple(
        ...['user:u1', 'user:u2', ...CANDIDATES.map((id) => `item:${id}`)].flatMap((key) =>
          EVENTS.map((event) => events.map((list) => [`${key}:${event}`, list] as const)),
        ),
      ),
    })
    .map(({ features, request, user, candidates, lists }) => ({
      manifest: manifestOf({ task: ranking ? 'ranking' : 'binary', features }),
      input: { request, candidates, entities: record<string>(user === undefined ? {} : { user }) },
      history: new Map(lists),
    })),
);
