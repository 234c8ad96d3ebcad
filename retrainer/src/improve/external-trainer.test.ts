import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trainerSchema } from '@hotloop/model/manifest/trainer-schema.ts';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import { ParquetWriter } from '@hotloop/platform/parquet/parquet-file.ts';
import { describe, expect, it } from 'vitest';
import { datasetKey } from '../datasets/dataset-store.ts';
import { linearModel } from '../testing/fixture.ts';
import { type ExternalLimits, externalTrainer, type Withheld } from './external-trainer.ts';

const DATASET = 'a'.repeat(64);
const PATH = '/usr/local/bin:/usr/bin:/bin';

/** Runs a shell script as trainer. */
async function trainWith(
  script: string,
  spec: object = {},
  limits: Partial<ExternalLimits> = {},
  change: { readonly withheld?: Withheld; readonly dataset?: string } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-external-'));
  try {
    const scripts = join(folder, 'trainers');
    await mkdir(scripts);
    await writeFile(join(scripts, 'train.sh'), `#!/bin/sh\n${script}\n`);
    await chmod(join(scripts, 'train.sh'), 0o755);
    const objects = directoryObjectStore(join(folder, 'store'));
    const data = join(folder, 'data');
    await writeFile(data, 'rows');
    const { dataset = data, ...job } = change;
    await objects.putFile(datasetKey(DATASET), dataset);
    return await externalTrainer(objects, { scripts, path: PATH }).train(
      {
        spec: trainerSchema.parse({ command: ['sh', 'train.sh'], settings: { depth: 3 }, ...spec }),
        parent: { manifestYaml: 'name: m\n', onnx: linearModel() },
        datasetSha256: DATASET,
        settings: { seed: 7 },
        ...job,
      },
      { timeoutMs: 20_000, ...limits },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Expected {
  readonly reason?: string;
  readonly code?: string;
  readonly message?: RegExp;
}

const COPY = 'cp parent/model.onnx model.onnx';

describe('an external trainer', () => {
  it('gets the dataset, the parent and the settings in a folder, and returns a model with metrics', async () => {
    const { modelBytes, reported } = await trainWith(
      `test "$(cat dataset.parquet)" = rows && test -s parent/model.yaml && grep -q '"depth": 3' settings.json &&
       grep -q '"seed": 7' settings.json && ${COPY} && echo '{"trees": 12, "name": "x"}' > metrics.json`,
    );
    expect(Buffer.from(modelBytes).equals(Buffer.from(linearModel()))).toBe(true);
    expect(reported).toEqual({ trees: 12 });
  });

  it.each<[string, Withheld, object[]]>([
    [
      'of a trial',
      { fromGroup: 2 },
      [
        { part: 'training', group: 0 },
        { part: 'training', group: 1 },
        { part: 'holdout', group: 3 },
        { part: 'frozen', group: 4 },
      ],
    ],
    [
      'of a fold',
      { fold: 1 },
      [
        { part: 'training', group: 0 },
        { part: 'training', group: 2 },
        { part: 'frozen', group: 4 },
      ],
    ],
    [
      'of no fold, for the version that is registered',
      { fold: null },
      [0, 1, 2, 3, 4].map((group) => ({ part: group === 4 ? 'frozen' : 'training', group })),
    ],
  ])('does not receive the rows of the evaluation: those %s', async (_title, withheld, expected) => {
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-trial-'));
    const [dataset, seen] = [join(folder, 'all.parquet'), join(folder, 'seen.parquet')];
    {
      await using writer = await ParquetWriter.create(dataset, [
        { name: 'part', type: 'text' },
        { name: 'group', type: 'int32' },
        { name: 'row', type: 'int32' },
        { name: 'fold', type: 'int32' },
        { name: 'price', type: 'float' },
      ]);
      await writer.writeGroup([
        ['training', 'training', 'training', 'holdout', 'frozen'],
        Int32Array.of(0, 1, 2, 3, 4),
        new Int32Array(5),
        Int32Array.of(0, 1, 0, 1, -1),
        new Float32Array(5).fill(Number.NaN),
      ]);
      await writer.finish();
    }
    await trainWith(`${COPY}; cp dataset.parquet ${seen}`, {}, {}, { dataset, withheld });
    await using database = await openDuckDb();
    const rows = await database.query(
      // What is missing stays NaN.
      `SELECT part, "group" FROM ${parquetSource([seen])} WHERE isnan(price) ORDER BY "group"`,
    );
    expect(rows).toEqual(expected);
    await rm(folder, { recursive: true });
  });

  it('sees no secret of the service', async () => {
    const seen = await trainWith(`env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; exit 3`).catch(
      (error: Error) => error.message,
    );
    expect(seen).toMatch(
      /^the trainer ended with 3: (HOME|HOTLOOP_JOB|LANG|PATH|PWD|OLDPWD|PYTHONUNBUFFERED|SHLVL|TMPDIR|_| )+$/,
    );
  });

  it.each<[string, string, object, Expected]>([
    [
      'fails',
      'echo no memory of last month >&2; exit 2',
      {},
      { reason: 'trainer_failed', message: /ended with 2: no memory/ },
    ],
    ['leaves no model', 'true', {}, { reason: 'trainer_left_no_model' }],
    [
      'leaves metrics that are no JSON',
      `${COPY}; echo { > metrics.json`,
      {},
      { message: /metrics.json that is no JSON/ },
    ],
    [
      'takes too long, with its children',
      'sleep 60 & sleep 60',
      { timeout: '300ms' },
      { code: 'DEADLINE_EXCEEDED' },
    ],
    ['is not installed', '', { command: ['no-such-program'] }, { reason: 'trainer_missing' }],
    ['is a path', '', { command: ['/bin/sh', 'train.sh'] }, { message: /is a path/ }],
    [
      'uses too much memory',
      // A string that doubles.
      'x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done',
      { memory_mb: 64 },
      { reason: 'trainer_memory' },
    ],
  ])(
    'is refused with the reason when it %s',
    async (_title, script, spec, { message, ...expected }: Expected) => {
      const failure = trainWith(script, spec);
      await expect(failure).rejects.toMatchObject(expected);
      if (message) await expect(failure).rejects.toThrow(message);
    },
  );

  it('is ended by the signal, and does not run unless a folder of programs is set', async () => {
    await expect(trainWith('sleep 60', {}, { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    const none = externalTrainer(directoryObjectStore(tmpdir()), { scripts: undefined, path: PATH });
    await expect(none.train({} as never, { timeoutMs: 1 })).rejects.toMatchObject({
      reason: 'no_external_trainers',
    });
  });
});
