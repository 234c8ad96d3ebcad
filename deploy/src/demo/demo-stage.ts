import { setTimeout as delay } from 'node:timers/promises';
import { connect, type HotloopClient, HotloopClientError } from '@hotloop/client';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BackingAddresses } from '../backing/backing-services.ts';
import { localPorts } from '../local/local-ports.ts';
import { type Local, startLocal } from '../local/start-local.ts';
import { EventPublisher } from './event-publisher.ts';
import { firstVersion } from './first-version.ts';
import type { KnownSession, Story } from './story.ts';
import { predictInput } from './traffic.ts';

const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 200;

export interface StageOptions {
  readonly story: Story;
  readonly single: boolean;
  /** Used only by the demonstration, which starts from scratch each time. */
  readonly folder: string;
  /** Any free ports. Otherwise the usual ones, as far as they are free when it starts. */
  readonly freePorts: boolean;
  /** Contains unpacked system packages. */
  readonly cacheDir: string;
  readonly addresses: BackingAddresses;
  readonly environment: Readonly<Record<string, string>>;
  readonly apiKey: string | undefined;
  readonly say: (line: string) => void;
}

/** Everything that the demonstration runs on, with version 1 live. Disposing stops it all. */
export interface Stage extends AsyncDisposable {
  readonly local: Local;
  readonly client: HotloopClient;
  readonly publisher: EventPublisher;
  readonly pool: Pool;
  /** Predictions answered during the set-up: they are logged like all others. */
  readonly answered: number;
}

/** Starts the platform and trains version 1 meanwhile, makes it live, and fills the history with past events. */
export async function openStage(options: StageOptions, signal: AbortSignal): Promise<Stage> {
  const { story, say } = options;
  await using opened = new AsyncDisposableStack();
  const manifest = parseManifest(story.manifestYaml);
  const failed = new AbortController();
  const together = AbortSignal.any([signal, failed.signal]);
  const starting = startLocal(
    {
      dir: options.folder,
      cacheDir: options.cacheDir,
      fresh: true,
      console: true,
      single: options.single,
      ports: localPorts((port) => (options.freePorts ? 'any' : { preferably: port })),
      addresses: options.addresses,
      environment: options.environment,
      say,
      onEvent: (event) =>
        say(
          event.kind === 'crashed'
            ? `${event.service} ended by itself (${event.how})`
            : `${event.service} is back`,
        ),
    },
    together,
  );
  const learning = firstVersion(manifest, story.first, story.firstSessions(), together);
  for (const one of [starting, learning]) one.catch((error: unknown) => failed.abort(error));
  const [started, learnt] = await Promise.allSettled([starting, learning]);
  if (started.status === 'fulfilled') opened.use(started.value);
  if (started.status === 'rejected') throw signal.aborted ? signal.reason : started.reason;
  if (learnt.status === 'rejected') throw signal.aborted ? signal.reason : learnt.reason;
  const local = started.value;
  say(`the console is at http://${local.httpAddresses.retrainer}/`);

  const { preprocessor, retrainer } = local.addresses;
  const client = opened.use(
    await connect({
      address: preprocessor,
      retrainerAddress: retrainer,
      ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    }),
  );
  const log = silentLog();
  const pool = opened.use(
    openPool(local.backing.databaseUrl, { max: 2, queryTimeoutMs: 20_000, application: 'hotloop-demo', log }),
  );
  const producer = opened.use(
    await openProducer({ brokers: local.backing.kafkaBrokers.split(','), clientId: 'hotloop-demo', log }),
  );
  const publisher = opened.use(new EventPublisher(producer));
  signal.throwIfAborted();
  await makeLive(client, story, learnt.value, signal);
  say(`version 1 of ${story.model} is live: learnt from ${story.firstSessions().length} earlier sessions`);
  const answered = await warmUp({ client, publisher, story }, signal);
  const stack = opened.move();
  return { local, client, publisher, pool, answered, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function makeLive(
  client: HotloopClient,
  story: Story,
  onnx: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const bundle = { manifestYaml: story.manifestYaml, onnx, note: 'learnt before the story begins' };
  const { version } = await client.models.push(bundle, { signal }).finished();
  await client.models.promote(story.model, version.version, { signal, actor: 'demo' }).finished();
}

/** Publishes past events, then retries until the preprocessor knows the model and the history contains the events. */
async function warmUp(
  { client, publisher, story }: Pick<Stage, 'client' | 'publisher'> & { readonly story: Story },
  signal: AbortSignal,
): Promise<number> {
  const past = story.pastEvents();
  await publisher.publishPast(past, signal);
  const newest = past.at(-1);
  const known = story.firstSessions();
  const session = known.find(({ past: own }) => own.some(({ id }) => id === newest?.id)) ?? known[0]!;
  let answered = 0;
  const endsAt = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const complete = await isAnswered(client, story, session, signal);
    if (complete !== undefined) answered += 1;
    if (complete === true) return answered;
    if (performance.now() > endsAt)
      throw new HotloopClientError(
        'DEADLINE_EXCEEDED',
        `after ${READY_TIMEOUT_MS / 1000} s the front door ${answered > 0 ? 'still answers without the history' : 'does not know the model yet'}`,
      );
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Undefined: the model is not known yet. False: answered, but some of the visitor's past events are still missing. */
async function isAnswered(
  client: HotloopClient,
  story: Story,
  session: KnownSession,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  try {
    const input = { ...predictInput(session.input), featureStatuses: true };
    const { featureStatuses, degraded } = await client.predict(story.model, input, { signal });
    if (session.past.length === 0) return true;
    return degraded.length === 0 && featureStatuses.every(({ status }) => status === 'FRESH');
  } catch (error) {
    if (error instanceof HotloopClientError && (error.code === 'NOT_FOUND' || error.code === 'UNAVAILABLE'))
      return undefined;
    throw error;
  }
}
