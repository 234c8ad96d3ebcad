import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../../stand/bench-local.ts';

const MODELS = 5;
const KILLS = 10;
const BUSY_MS = 75_000;
const RATE = 20;
const WAIT_MS = 240_000;

export interface Delivered {
  /** From the last call of a model to its alarm at the webhook. */
  readonly silenceS: number;
  /** Transitions that the monitor recorded and the receiver never got. */
  readonly lost: number;
  /** Transitions that the receiver got more than once. */
  readonly doubled: number;
  readonly transitions: number;
}

/** A webhook that can be down: it then closes connections without an answer. */
async function receiver() {
  const seen = new Map<string, number>();
  const firstAt = new Map<string, number>();
  const state = { isAway: false };
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (state.isAway) return void request.socket.destroy();
    const key = String(request.headers['idempotency-key']);
    seen.set(key, (seen.get(key) ?? 0) + 1);
    const { model } = (JSON.parse(text) as { commonLabels: { model: string } }).commonLabels;
    if (!firstAt.has(model)) firstAt.set(model, performance.now());
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...{ seen, firstAt, state },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/**
 * Models become silent on a running platform. The first time their alarms are timed. Then the receiver is down for
 * `downS` seconds, the monitor's process is killed ten times meanwhile, and models are called and become silent
 * again.
 *
 * @param onTimed called once the first alarms are timed: after that the machine may be busy.
 */
export async function deliverAlarms(
  downS: number,
  say: (line: string) => void,
  onTimed: () => void = () => undefined,
): Promise<Delivered> {
  await using stack = new AsyncDisposableStack();
  const hook = stack.use(await receiver());
  const folder = stack.use(await benchFolder());
  const local = stack.use(await startBenchLocal(folder.path));
  const client = stack.use(await connectTo(local));
  const pool = stack.use(
    openPool(local.backing.databaseUrl, {
      ...{ max: 2, queryTimeoutMs: 10_000, application: 'drill', log: silentLog() },
    }),
  );
  const models = Array.from({ length: MODELS }, (_v, at) => `quiet-${at}`);
  for (const name of models) {
    const manifestYaml = `name: ${name}\nfeatures: [{name: x, from: request.x, missing: 0}]\nmonitor: {notify: ["${hook.url}"]}\n`;
    const onnx = initialModel({ features: 1, task: 'binary', hidden: [4] });
    const { version } = await client.models.push({ manifestYaml, onnx }).finished();
    await client.models.promote(name, version.version).finished();
  }
  const lastAt = await call(client, models, BUSY_MS);
  await until(() => models.every((name) => hook.firstAt.has(name)));
  const silences = models.map((name) => (hook.firstAt.get(name)! - lastAt) / 1000);
  say(`silence told after ${silences.map((s) => s.toFixed(0)).join(', ')} s`);

  onTimed();
  hook.state.isAway = true;
  const endsAt = performance.now() + downS * 1000;
  let kills = 0;
  while (performance.now() < endsAt) {
    await call(client, models, 3_000);
    const pid = local.pidOf('retrainer');
    if (pid !== undefined && kills < KILLS) {
      process.kill(pid, 'SIGKILL');
      kills++;
    }
    await delay(Math.max(0, Math.min((downS * 1000) / KILLS - 3_000, endsAt - performance.now())));
  }
  hook.state.isAway = false;
  say(`the receiver is back; the monitor was killed ${kills} times`);
  await until(async () => (await undelivered(pool)) === 0);
  const { rows } = await pool.query<{ key: string }>(
    `SELECT incident || '/' || transition AS key FROM incident_delivery`,
  );
  return {
    silenceS: Math.max(...silences),
    lost: rows.filter(({ key }) => !hook.seen.has(key)).length,
    doubled: [...hook.seen.values()].filter((times) => times > 1).length,
    transitions: rows.length,
  };
}

/** Calls the models in turn for a time; returns when the last call was answered. */
async function call(client: HotloopClient, models: readonly string[], forMs: number): Promise<number> {
  const endsAt = performance.now() + forMs;
  let last = performance.now();
  while (performance.now() < endsAt) {
    await Promise.all(
      models.map((name) => client.predict(name, { request: { x: 1 } }).catch(() => undefined)),
    );
    last = performance.now();
    await delay(1000 / RATE);
  }
  return last;
}

async function undelivered(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    'SELECT count(*) AS count FROM incident_delivery WHERE delivered_at IS NULL',
  );
  return Number(rows[0]!.count);
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + WAIT_MS;
  while (!(await isSo()) && performance.now() < endsAt) await delay(200);
}
