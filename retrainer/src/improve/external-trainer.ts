import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { constants, setPriority, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { TrainerSpec } from '@hotloop/model/manifest/trainer-schema.ts';
import { dropZipMap } from '@hotloop/model/onnx/drop-zip-map.ts';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { datasetKey } from '../datasets/dataset-store.ts';
import type { TrainerResult } from '../training/trainer-process.ts';

/** The model that is to be improved; the first version of a model has no `onnx`. */
export interface ExternalParent {
  readonly manifestYaml: string;
  readonly onnx: Uint8Array | null;
}

export interface ExternalJob {
  readonly spec: TrainerSpec;
  readonly parent: ExternalParent;
  readonly datasetSha256: string;
  /** Rows that the program is not given, because they judge. Default: `part` says what each row is for. */
  readonly withheld?: Withheld;
  /** Written to settings.json beside the manifest's own settings. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * `fromGroup`: training rows of predictions from this number on, which judge a trial. `fold`: the rows of this fold of the
 * cross-validation; all others but the frozen ones are training rows; null: no fold.
 */
export type Withheld = { readonly fromGroup: number } | { readonly fold: number | null };

export interface ExternalLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface ExternalResult extends TrainerResult {
  /** What metrics.json holds; empty without it. */
  readonly reported: Readonly<Record<string, number>>;
}

export interface ExternalTrainer {
  train(job: ExternalJob, limits: ExternalLimits): Promise<ExternalResult>;
}

export interface ExternalOptions {
  /** The folder of the programs that may be run. Without it no external trainer is run on this machine. */
  readonly scripts: string | undefined;
  /** The PATH of the programs. */
  readonly path: string;
}

/** The files of a job's folder: the program reads the first four and writes the last two. A first version has no parent model. */
export const EXTERNAL_FILES = {
  dataset: 'dataset.parquet',
  parentModel: 'parent/model.onnx',
  parentManifest: 'parent/model.yaml',
  settings: 'settings.json',
  model: 'model.onnx',
  metrics: 'metrics.json',
} as const;

const MOST_MODEL_BYTES = 1 << 30;
const OUTPUT_KEPT = 4_096;
const MEMORY_EVERY_MS = 250;

/**
 * Runs a program as trainer in its own folder, with low priority, no environment but PATH and the folder, a time limit and a
 * memory limit for it and its children. The folder is removed in every case.
 *
 * `train` rejects FAILED_PRECONDITION where this machine runs no external trainers, or the program failed (with the end of what it
 * printed), left no model, or left too much; DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED at its limits; CANCELLED by the signal.
 */
export function externalTrainer(objects: ObjectStore, options: ExternalOptions): ExternalTrainer {
  return {
    async train(job, limits) {
      const { scripts } = options;
      if (scripts === undefined)
        throw new HotloopError(
          'FAILED_PRECONDITION',
          'training.trainer names a program, but this process runs none: set HOTLOOP_TRAINERS to the folder of the programs',
          { reason: 'no_external_trainers' },
        );
      const folder = await mkdtemp(join(tmpdir(), 'hotloop-trainer-'));
      try {
        await prepare(folder, job, objects);
        const command = job.spec.command.map((part, index) => resolved(scripts, part, index));
        await runProgram(command, folder, job.spec, options.path, limits);
        return await collect(folder);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** An argument that names a file of the trainers folder becomes its path. */
function resolved(scripts: string, part: string, index: number): string {
  const path = join(scripts, basename(part));
  if (basename(part) === part && existsSync(path)) return path;
  if (index === 0 && part.includes('/'))
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `training.trainer: ${JSON.stringify(part)} is a path; name a program on PATH, or a file in the trainers folder`,
    );
  return part;
}

async function prepare(folder: string, job: ExternalJob, objects: ObjectStore): Promise<void> {
  await mkdir(join(folder, 'parent'));
  const dataset = join(folder, EXTERNAL_FILES.dataset);
  await objects.getFile(datasetKey(job.datasetSha256), dataset);
  if (job.withheld !== undefined) await withhold(dataset, job.withheld);
  if (job.parent.onnx !== null) await writeFile(join(folder, EXTERNAL_FILES.parentModel), job.parent.onnx);
  await writeFile(join(folder, EXTERNAL_FILES.parentManifest), job.parent.manifestYaml);
  const settings = { ...job.settings, ...job.spec.settings };
  await writeFile(join(folder, EXTERNAL_FILES.settings), JSON.stringify(settings, null, 2));
}

async function withhold(path: string, rows: Withheld): Promise<void> {
  const whole = `${path}.whole`;
  await rename(path, whole);
  await using database = await openDuckDb({ memoryMb: 512 });
  const source = parquetSource([whole]);
  const select =
    'fromGroup' in rows
      ? `SELECT * FROM ${source} WHERE part <> 'training' OR "group" < ${Math.trunc(rows.fromGroup)}`
      : `SELECT * REPLACE (CASE WHEN part = 'frozen' THEN part ELSE 'training' END AS part) FROM ${source}
         WHERE part = 'frozen' OR fold <> ${Math.trunc(rows.fold ?? -1)}`;
  await database.writeParquet(`${select} ORDER BY "group", "row"`, path);
  await rm(whole);
}

async function runProgram(
  [program, ...args]: readonly string[],
  folder: string,
  spec: TrainerSpec,
  path: string,
  { timeoutMs, signal }: ExternalLimits,
): Promise<void> {
  const limitMs = Math.min(timeoutMs, durationMs(spec.timeout));
  const child = spawn(program!, args, {
    cwd: folder,
    // Its own process group, so that its children can be killed with it.
    detached: true,
    env: {
      PATH: path,
      HOME: folder,
      TMPDIR: folder,
      HOTLOOP_JOB: folder,
      LANG: 'C.UTF-8',
      PYTHONUNBUFFERED: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let reason: 'time' | 'memory' | 'signal' | undefined;
  const end = (why: typeof reason) => {
    reason ??= why;
    killGroup(child);
  };
  const printed = keepPrinted(child);
  const timer = setTimeout(() => end('time'), limitMs);
  const memory = setInterval(() => {
    void groupBytes(child.pid).then((bytes) => bytes > spec.memory_mb * 2 ** 20 && end('memory'));
  }, MEMORY_EVERY_MS);
  const cancel = () => end('signal');
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    if (signal?.aborted) cancel();
    lowerPriority(child);
    const code = await ended(child);
    if (reason === 'signal') throw new HotloopError('CANCELLED', 'the training was cancelled');
    if (reason === 'time')
      throw new HotloopError(
        'DEADLINE_EXCEEDED',
        `the trainer took longer than ${limitMs / 1000} s and was ended`,
      );
    if (reason === 'memory')
      throw new HotloopError(
        'RESOURCE_EXHAUSTED',
        `the trainer used more than ${spec.memory_mb} MB and was ended`,
        {
          reason: 'trainer_memory',
        },
      );
    if (code !== 0)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `the trainer ended with ${code}: ${printed().trim() || 'it printed nothing'}`,
        {
          reason: 'trainer_failed',
        },
      );
  } finally {
    clearTimeout(timer);
    clearInterval(memory);
    signal?.removeEventListener('abort', cancel);
    killGroup(child);
  }
}

function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new HotloopError(
          'FAILED_PRECONDITION',
          `the trainer ${JSON.stringify(child.spawnfile)} cannot be started; is it installed?`,
          {
            reason: 'trainer_missing',
            cause,
          },
        ),
      ),
    );
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function lowerPriority({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already, or the system forbids it.
  }
}

function keepPrinted(child: ChildProcess): () => string {
  let kept = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      kept = (kept + text).slice(-OUTPUT_KEPT);
    });
  return () => kept;
}

const PAGE_BYTES = 4_096;

/** Resident bytes of a process group, from /proc; 0 where there is no /proc. */
async function groupBytes(group: number | undefined): Promise<number> {
  const ids = await readdir('/proc').catch(() => []);
  let bytes = 0;
  for (const id of ids) {
    if (!/^\d+$/.test(id)) continue;
    const text = await readFile(`/proc/${id}/stat`, 'utf8').catch(() => '');
    // After the name in parentheses: state, parent, group ... and resident pages as the 22nd.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[2]) === group) bytes += Number(fields[21] ?? 0) * PAGE_BYTES;
  }
  return bytes;
}

async function collect(folder: string): Promise<ExternalResult> {
  const path = join(folder, EXTERNAL_FILES.model);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'the trainer ended well but left no model.onnx in its folder',
      {
        reason: 'trainer_left_no_model',
        cause,
      },
    );
  });
  if (size > MOST_MODEL_BYTES)
    throw new HotloopError(
      'RESOURCE_EXHAUSTED',
      `the trainer left a model of ${size} bytes; at most ${MOST_MODEL_BYTES}`,
    );
  const onnx = new Uint8Array(await readFile(path));
  const modelBytes = dropZipMap(onnx)?.onnx ?? onnx;
  const reported = numbersOf(await readFile(join(folder, EXTERNAL_FILES.metrics), 'utf8').catch(() => '{}'));
  return {
    modelBytes,
    sha256: createHash('sha256').update(modelBytes).digest('hex'),
    reported,
    metrics: {
      ...{ examples: 0, validationExamples: 0, epochs: Number.NaN, steps: 0, bestEpoch: 0 },
      ...{ loss: reported.loss ?? Number.NaN, validationLossBefore: null, validationLoss: null },
    },
  };
}

const MOST_METRICS = 100;

function numbersOf(text: string): Record<string, number> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HotloopError('FAILED_PRECONDITION', 'the trainer left a metrics.json that is no JSON', {
      cause,
    });
  }
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value)
      .filter((entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1]))
      .slice(0, MOST_METRICS),
  );
}
