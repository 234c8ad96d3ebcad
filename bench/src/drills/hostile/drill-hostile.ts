import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@hotloop/client';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { ParquetWriter } from '@hotloop/platform/parquet/parquet-file.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { startBenchLocal } from '../../stand/bench-local.ts';
import { DRILL_MANIFEST, DRILL_MODEL, drillInput, makeLive } from '../../stand/drill-model.ts';
import { processTree } from '../../stand/process-tree.ts';
import { residentBytes } from '../../stand/resident-bytes.ts';
import type { Drill } from '../drill.ts';
import { fileInputs } from './file-inputs.ts';
import { grpcInputs } from './grpc-inputs.ts';
import { type HostileInput, problemOf } from './hostile-input.ts';
import { httpInputs } from './http-inputs.ts';
import { kafkaInputs } from './kafka-inputs.ts';
import { sqlInputs } from './sql-inputs.ts';

const CORPUS = 2_000;
const AT_ONCE = 4;
const SHOWN = 60;
const MOST_GROWTH = 1.1;
/** The first rounds fill caches and let the heaps grow to their working size. */
const ROUNDS = 3;

/**
 * Hostile inputs at every interface of the services as `hotloop up` starts them: each must be answered as the
 * caller's fault, with a code and without information about the machine; nothing may crash, hang or grow.
 */
export const drillHostile: Drill = async ({ say, only }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  let crashes = 0;
  const local = stack.use(
    await startBenchLocal(folder.path, {
      sqlListen: '127.0.0.1:0',
      onEvent: (event) => {
        if (event.kind !== 'crashed') return;
        crashes++;
        say(`${event.service} ended: ${event.how}`);
      },
    }),
  );
  const { addresses, httpAddresses, backing } = local;
  const client = stack.use(
    await connect({ address: addresses.preprocessor, retrainerAddress: addresses.retrainer }),
  );
  await makeLive(client, 1);
  await declareTable(httpAddresses.preprocessor);
  const log = silentLog();
  const pool = stack.use(
    openPool(backing.databaseUrl, { max: 4, queryTimeoutMs: 10_000, application: 'drill', log }),
  );
  const producer = stack.use(
    await openProducer({ brokers: backing.kafkaBrokers.split(','), clientId: 'drill', log }),
  );
  const grpc = grpcInputs(addresses);
  stack.defer(() => grpc.close());
  const onnx = initialModel({ features: 3, task: 'binary', hidden: [8], seed: 7 });
  const all: HostileInput[] = [
    ...(await httpInputs(Object.values(httpAddresses), DRILL_MODEL)),
    ...grpc.inputs,
    ...fileInputs(
      client,
      httpAddresses,
      { name: DRILL_MODEL, manifestYaml: DRILL_MANIFEST, onnx },
      await parquetFile(join(folder.path, 'hostile.parquet')),
    ),
    ...kafkaInputs(producer, pool),
  ];
  if (local.sqlAddress !== undefined) all.push(...stack.use(sqlInputs(local.sqlAddress)).inputs);
  else say('SQL did not start; it is not tested');
  // A run of only some interfaces is for debugging, not for the figures.
  const inputs = all.filter(({ door }) => only === undefined || only.split(',').includes(door));
  const rounds = only === undefined ? ROUNDS : 1;
  for (const door of new Set(inputs.map((input) => input.door)))
    say(`${door}: ${inputs.filter((input) => input.door === door).length} inputs`);

  const pids = local.pids();
  let before: number[] = [];
  const wrong = new Map<HostileInput, string>();
  for (let round = 1; round <= rounds; round++) {
    before = await settled(pids);
    await inTurns(inputs, async (input) => {
      const problem = await problemOf(input);
      if (problem !== undefined) wrong.set(input, problem);
    });
    say(`round ${round}: ${wrong.size} of ${inputs.length} wrong so far`);
  }
  const after = await settled(pids);
  const grown = after.filter((bytes, index) => bytes > MOST_GROWTH * (before[index] ?? 0) + 4 * 2 ** 20);
  for (const [input, problem] of [...wrong].slice(0, SHOWN)) say(`${input.door}: ${input.name}: ${problem}`);
  for (const [index, bytes] of after.entries())
    say(
      `process ${pids[index]}: ${Math.round((before[index] ?? 0) / 2 ** 20)} MB, then ${Math.round(bytes / 2 ** 20)} MB`,
    );
  // Everything still works.
  await client.predict(DRILL_MODEL, drillInput(1));
  return [
    figure('hostile_wrong', [wrong.size], { atMost: 0 }),
    figure('hostile_crashes', [crashes + grown.length], { atMost: 0 }),
    figure('hostile_inputs', [inputs.length], { atLeast: CORPUS }),
  ];
};

/** Runs a few at once, in an order that mixes the interfaces. */
async function inTurns(
  inputs: readonly HostileInput[],
  act: (input: HostileInput) => Promise<void>,
): Promise<void> {
  const lanes = new Map<string, HostileInput[]>();
  for (const [index, input] of inputs.entries()) {
    // Messages of one topic, and pushes of one model, run one after the other.
    const lane = input.door === 'kafka' || input.door === 'push' ? input.door : String(index % AT_ONCE);
    lanes.set(lane, [...(lanes.get(lane) ?? []), input]);
  }
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const input of lane) await act(input);
    }),
  );
}

/** Memory of each process with its children: the lowest of a few samples, so that garbage does not count. */
async function settled(pids: readonly number[]): Promise<number[]> {
  const looks: number[][] = [];
  for (let look = 0; look < 8; look++) {
    await delay(1_000);
    looks.push(pids.map((pid) => processTree(pid).reduce((sum, one) => sum + residentBytes(one), 0)));
  }
  return pids.map((_, index) => Math.min(...looks.map((look) => look[index] ?? 0)));
}

async function declareTable(address: string): Promise<void> {
  const response = await fetch(`http://${address}/v1/tables/hostile`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'id', columns: { label: { type: 'number' } } }),
  });
  if (!response.ok) throw new Error(`the table could not be declared: ${await response.text()}`);
}

async function parquetFile(path: string): Promise<Uint8Array> {
  await using writer = await ParquetWriter.create(path, [
    { name: 'prediction_id', type: 'text' },
    { name: 'label', type: 'float' },
  ]);
  await writer.writeGroup([['a', 'b'], Float32Array.of(0, 1)]);
  await writer.finish();
  return readFile(path);
}
