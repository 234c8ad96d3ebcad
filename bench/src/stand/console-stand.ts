import { connect, type HotloopClient } from '@hotloop/client';
import type { BackingAddresses } from '@hotloop/deploy/backing/backing-services.ts';
import type { Local } from '@hotloop/deploy/local/start-local.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { startBenchLocal } from './bench-local.ts';

const ANSWERS_MS = 30_000;

export const CONSOLE_MODEL = 'card-payments';
/** An attack on a reader of the log, as a caller could send it. */
export const HOSTILE = '<img src=x onerror="document.title=\'attacked\'">';
const COUNTRIES = ['DE', 'FR', 'GB', 'PL', 'US'] as const;
const DEVICES = ['phone', 'desktop', 'tablet'] as const;
const COLUMNS = 4 + COUNTRIES.length + DEVICES.length;

const MANIFEST = `name: ${CONSOLE_MODEL}
task: binary
features:
  - {name: amount,    from: request.amount, range: [0, 20000], transform: [log1p, {standardize: {mean: 4, std: 1.2}}]}
  - {name: account_days, from: request.account_days, missing: 0, transform: [log1p, {standardize: {mean: 5, std: 1.5}}]}
  - {name: attempts,  from: request.attempts, missing: 1, transform: [{scale: {min: 0, max: 10}}]}
  - {name: night,     from: request.night, missing: 0}
  - {name: country,   from: request.country, transform: [{one_hot: [${COUNTRIES.join(', ')}]}]}
  - {name: device,    from: request.device, transform: [{one_hot: [${DEVICES.join(', ')}]}]}
decision: {labels: [genuine, fraud]}
outcome: {from: sdk}
training: {loss: binary_cross_entropy, optimizer: {adam: {learning_rate: 5e-3}}, epochs: 6, batch: 64, gate: {metric: auc, at_least: 0.0, min_examples: 20}}
rollout: {mode: at_once}
`;

export interface ConsoleStandOptions {
  readonly folder: string;
  readonly apiKeys?: string;
  /** One of the keys, with every role. */
  readonly apiKey?: string;
  readonly addresses?: BackingAddresses;
  readonly predictions: number;
  readonly train: boolean;
  readonly say: (line: string) => void;
}

/** The platform with a model that has a history: versions, predictions, outcomes, a run. */
export interface ConsoleStand extends AsyncDisposable {
  readonly local: Local;
  readonly client: HotloopClient;
  /** Address of the console, without a trailing slash. */
  readonly url: string;
  /** The newest first. */
  readonly predictionIds: readonly string[];
  /** Makes this many more predictions and reports the outcomes of most of them. Returns their ids, the newest first. */
  ask(times: number): Promise<string[]>;
}

/** Starts everything on free ports and creates the model's history through the public interfaces only. */
export async function openConsoleStand(options: ConsoleStandOptions): Promise<ConsoleStand> {
  await using opened = new AsyncDisposableStack();
  const { apiKey, apiKeys } = options;
  const local = opened.use(
    await startBenchLocal(options.folder, {
      single: true,
      dir: options.folder,
      console: true,
      addresses: options.addresses ?? {},
      say: options.say,
      environment: {
        HOTLOOP_LOG_LEVEL: 'warn',
        HOTLOOP_TRACE_RATIO: '0',
        ...(apiKeys === undefined ? {} : { HOTLOOP_API_KEYS: apiKeys }),
      },
    }),
  );
  const { preprocessor, retrainer } = local.addresses;
  const client = opened.use(
    await connect({
      address: preprocessor,
      retrainerAddress: retrainer,
      ...(apiKey === undefined ? {} : { apiKey }),
    }),
  );
  const past = pastOf(client);
  const predictionIds = await tellPast(client, options, past);
  const stack = opened.move();
  return {
    local,
    client,
    url: `http://${local.httpAddresses.retrainer}`,
    predictionIds,
    ask: past.ask,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function tellPast(client: HotloopClient, options: ConsoleStandOptions, past: Past): Promise<string[]> {
  const ids: string[] = [];
  for (const version of [1, 2]) {
    const note = version === 1 ? 'first rules, learnt from 2025' : 'wider network';
    await client.models.push({ manifestYaml: MANIFEST, onnx: network(version), note }).finished();
    await client.models.promote(CONSOLE_MODEL, version, { actor: 'ada' }).finished();
    await firstAnswer(client, version);
    ids.unshift(...(await past.ask(options.predictions / 2)));
  }
  await client.models.push({ manifestYaml: MANIFEST, onnx: network(3), note: 'candidate' }).finished();
  if (options.train) {
    await allLogged(client, options.predictions);
    const { runId } = await client.retrain(CONSOLE_MODEL, { reason: 'weekly training', hold: true });
    for await (const _run of client.runs.watch(runId)) void _run;
  }
  return ids;
}

interface Past {
  ask(times: number): Promise<string[]>;
}

function pastOf(client: HotloopClient): Past {
  const random = new SeededRandom(7);
  return {
    async ask(times) {
      const ids: string[] = [];
      for (let asked = 0; asked < times; asked++) {
        const request = payment(random);
        const user = asked % 40 === 0 ? HOSTILE : `card-${1000 + Math.floor(random.uniform() * 9000)}`;
        const { predictionId } = await client.predict(CONSOLE_MODEL, { user, request });
        ids.unshift(predictionId);
        if (random.uniform() > 0.7) continue;
        const value = isFraud(request, random) ? 1 : 0;
        await client.recordOutcomes([{ model: CONSOLE_MODEL, predictionId, value }]);
      }
      return ids;
    },
  };
}

/** Waits for the log, which training reads and which is shipped shortly after the answers. */
async function allLogged(client: HotloopClient, predictions: number): Promise<void> {
  const end = performance.now() + ANSWERS_MS;
  for (;;) {
    const { predictionsLogged } = await client.loop(CONSOLE_MODEL);
    if (predictionsLogged >= predictions) return;
    if (performance.now() > end) throw new Error(`${predictionsLogged} of ${predictions} are logged`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function network(seed: number): Uint8Array {
  return perceptron({ inputs: COLUMNS, hidden: [8], outputs: 1, activation: 'relu', head: 'sigmoid', seed });
}

interface Payment {
  readonly amount: number;
  readonly account_days: number;
  readonly attempts: number;
  readonly night: number;
  readonly country: string;
  readonly device: string;
  readonly [name: string]: string | number;
}

function payment(random: SeededRandom): Payment {
  const any = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)] as T;
  return {
    amount: Math.round(Math.exp(2 + random.uniform() * 5) * 100) / 100,
    account_days: Math.floor(random.uniform() ** 2 * 2000),
    attempts: 1 + Math.floor(random.uniform() ** 3 * 6),
    night: random.uniform() < 0.3 ? 1 : 0,
    country: any(COUNTRIES),
    device: any(DEVICES),
  };
}

function isFraud({ amount, account_days: days, attempts, night }: Payment, random: SeededRandom): boolean {
  const score = Math.log(amount) - 4.2 + attempts * 0.5 - days / 600 + night;
  return random.uniform() < 1 / (1 + Math.exp(-2 * score));
}

/** Waits until the preprocessor knows about the promotion, which takes a moment. */
async function firstAnswer(client: HotloopClient, version: number): Promise<void> {
  const end = performance.now() + ANSWERS_MS;
  const request = payment(new SeededRandom(1));
  for (;;) {
    const answer = await client.predict(CONSOLE_MODEL, { request }).catch((error: unknown) => {
      if (performance.now() > end) throw error;
      return undefined;
    });
    if (answer?.version === version) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
