import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeBackup, restoreBackup } from '@hotloop/retrainer/operations/backup.ts';
import { examine } from '@hotloop/retrainer/operations/doctor/examine.ts';
import { type Forgotten, forgetEntity } from '@hotloop/retrainer/operations/forget.ts';
import { type Operations, openOperations } from '@hotloop/retrainer/operations/open-operations.ts';
import { recordAct } from '@hotloop/retrainer/operations/record-act.ts';
import { collectSupport } from '@hotloop/retrainer/operations/support/collect-support.ts';
import type { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import { serviceErasers } from '../service-erasers.ts';

interface OperationsOptions extends GlobalOptions {
  readonly dir?: string;
  readonly yes?: boolean;
  readonly replace?: boolean;
  readonly againAfter: number;
  /** Milliseconds since 1970. */
  readonly at?: number;
}

export const WHERE =
  'folder of a running `hotloop up` (default: DATABASE_URL, HOTLOOP_STORE … of the environment)';

/** `hotloop backup`, `restore`, `forget` and `doctor`: they work on the stores directly, for the operator of a Hotloop. */
export function addOperationsCommands(program: Command, context: CommandContext): void {
  program
    .command('backup')
    .description('copy everything that is kept (Postgres and the store) into a folder, while it runs')
    .argument('<folder>')
    .option('--dir <folder>', WHERE)
    .addHelpText('after', '\nExample: hotloop backup ./backup-monday --dir .hotloop')
    .action(async (folder: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<OperationsOptions>();
      await using stores = await openStores(context, options);
      const { at, database, objects } = await makeBackup(stores, folder);
      await recordAct(stores.pool, 'backup', { at, tables: database.tables.length, objects: objects.length });
      const value = { folder, at, tables: database.tables.length, objects: objects.length };
      present(
        context,
        options,
        value,
        () => `${folder}: ${value.tables} tables as of ${at}, ${objects.length} objects`,
      );
    });
  program
    .command('restore')
    .description('put a backup back, into an empty database and store')
    .argument('<folder>', 'of `hotloop backup`; with --at, of `hotloop up --archive`')
    .option('--dir <folder>', WHERE)
    .option('--at <time>', 'as everything was then, such as 2026-01-31T17:05:00Z', timeOf)
    .option('--replace', 'delete what the database holds now')
    .addHelpText(
      'after',
      `
Examples:
  hotloop restore ./backup-monday --dir .hotloop
  hotloop restore /mnt/archive --at 2026-01-31T17:05:00Z --dir .hotloop`,
    )
    .action(async (folder: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<OperationsOptions>();
      await using stores = await openStores(context, options);
      await stores.migrate();
      await using source = await backupFolder(context, folder, options.at);
      const { at, database, objects } = await restoreBackup(stores, source.folder, {
        replace: options.replace ?? false,
      });
      const moment = options.at === undefined ? at : new Date(options.at).toISOString();
      await recordAct(stores.pool, 'restore', { from: moment });
      const value = { folder, at: moment, tables: database.tables.length, objects: objects.length };
      present(context, options, value, () => `restored what was kept at ${moment}`);
    });
  program
    .command('forget')
    .description('erase an entity, such as a user, wherever it is kept')
    .argument('<entity>', 'kind, such as user')
    .argument('<id>')
    .option('--dir <folder>', WHERE)
    .option('-y, --yes', 'do not ask first; nothing can be brought back')
    .option(
      '--again-after <seconds>',
      'erase once more after this time, for what nodes had not shipped yet; 0: once',
      secondsOf,
      45,
    )
    .addHelpText('after', '\nExample: hotloop forget user 42 --yes --dir .hotloop')
    .action(async (entity: string, id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<OperationsOptions>();
      if (id === '') throw new CommandError('the id is empty');
      await confirmed(context, options, `erase ${entity} ${id} for good?`);
      await using stores = await openStores(context, options);
      const erase = () =>
        forgetEntity(serviceErasers(stores), { entity, id, actor: 'operator', now: Date.now() });
      const first = await erase();
      if (options.againAfter > 0) {
        context.terminal.err.write(`erased; once more in ${options.againAfter} s, for what was on its way\n`);
        await delay(options.againAfter * 1000, undefined, { signal: context.signal });
      }
      const forgotten = options.againAfter > 0 ? bothOf(first, await erase()) : first;
      present(context, options, forgotten, () => describeForgotten(forgotten));
    });
  program
    .command('doctor')
    .description('look for problems, and say what to do about them')
    .option('--dir <folder>', WHERE)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<OperationsOptions>();
      await using stores = await openStores(context, options);
      const findings = await examine(stores);
      present(context, options, findings, () =>
        findings
          .map(
            ({ check, ok, says, remedy }) =>
              `${ok ? 'ok' : '!!'}  ${check}: ${says}${remedy === '' ? '' : `\n    ${remedy}`}`,
          )
          .join('\n'),
      );
      if (findings.some((finding) => !finding.ok)) context.fail?.(1);
    });
  program
    .command('support-bundle')
    .description(
      'gather what a helper needs into one file: states, counts, findings, logs; no data, no secrets',
    )
    .argument('[file]', 'a .tar.gz (default: hotloop-support-DAY.tar.gz)')
    .option('--dir <folder>', WHERE)
    .addHelpText('after', '\nExample: hotloop support-bundle support.tar.gz --dir .hotloop')
    .action(async (file: string | undefined, _options: unknown, command: Command) =>
      writeSupportBundle(context, command.optsWithGlobals<OperationsOptions>(), file),
    );
}

/** The folder of the backup, or one made out of an archive, which disposing removes. */
async function backupFolder(
  context: CommandContext,
  folder: string,
  at: number | undefined,
): Promise<{ readonly folder: string } & AsyncDisposable> {
  if (at === undefined) return { folder, [Symbol.asyncDispose]: async () => undefined };
  const scratch = await mkdtemp(join(tmpdir(), 'hotloop-restore-'));
  const remove = () => rm(scratch, { recursive: true, force: true });
  try {
    const say = (line: string) => void context.terminal.err.write(`${line}\n`);
    const { backupFromArchive } = await import('@hotloop/deploy/archive/read-archive.ts');
    const made = await backupFromArchive({ archive: folder, at, scratch, say }, context.signal);
    return { folder: made.folder, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error instanceof RangeError ? new CommandError(error.message, { cause: error }) : error;
  }
}

/** The environment that `hotloop up` left for commands; empty where none was named. */
async function environmentOf(options: { readonly dir?: string }): Promise<Record<string, string>> {
  if (options.dir === undefined) return {};
  return readEnvironment(options.dir);
}

/** The stores of the Hotloop that runs in `options.dir`, or of the environment. */
export async function openStores(
  context: CommandContext,
  options: { readonly dir?: string },
): Promise<Operations> {
  const environment = context.environment ?? {};
  return openOperations(options.dir === undefined ? environment : await readEnvironment(options.dir));
}

async function readEnvironment(dir: string): Promise<Record<string, string>> {
  const places = [join(dir, 'data'), dir].map((folder) => join(folder, 'environment.json'));
  const file = places.find((place) => existsSync(place)) ?? join(dir, 'data', 'environment.json');
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
  } catch (cause) {
    throw new CommandError(`no Hotloop runs in ${dir}: ${file} is missing; start it with \`hotloop up\``, {
      cause,
    });
  }
}

async function writeSupportBundle(
  context: CommandContext,
  options: OperationsOptions,
  file: string | undefined,
): Promise<void> {
  await using stores = await openStores(context, options);
  const now = Date.now();
  const day = new Date(now).toISOString().slice(0, 10);
  const target = file ?? `hotloop-support-${day}.tar.gz`;
  const files = await collectSupport({
    pool: stores.pool,
    findings: await examine(stores),
    environment: { ...context.environment, ...(await environmentOf(options)) },
    logFolder: options.dir === undefined ? undefined : join(options.dir, 'data', 'logs'),
    version: context.version ?? '',
    now,
  });
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-support-'));
  try {
    for (const [name, text] of files) {
      const path = join(folder, `hotloop-support-${day}`, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { mode: 0o600 });
    }
    await promisify(execFile)('tar', ['-czf', resolve(target), '-C', folder, '.']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const value = { file: target, files: [...files.keys()] };
  present(
    context,
    options,
    value,
    () => `${target}: ${files.size} files, secrets removed; read it before you send it`,
  );
}

function timeOf(text: string): number {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at))
    throw new CommandError(
      `--at takes a time with its zone, such as 2026-01-31T17:05:00Z, not ${JSON.stringify(text)}`,
    );
  return at;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0 && seconds <= 3600)) throw new CommandError('--again-after takes 0 to 3600 seconds');
  return seconds;
}

function bothOf(first: Forgotten, second: Forgotten): Forgotten {
  const erased = { ...first.erased };
  for (const [what, count] of Object.entries(second.erased)) erased[what] = (erased[what] ?? 0) + count;
  return {
    ...second,
    erased,
    datasets: [...first.datasets, ...second.datasets],
    versions: [...first.versions, ...second.versions],
  };
}

function describeForgotten({ erased, datasets, versions, unreachable, topics }: Forgotten): string {
  const counts = Object.entries(erased).filter(([, count]) => count > 0);
  const list = (values: readonly string[]) => values.join(', ') || 'none';
  return [
    `erased: ${list(counts.map(([what, count]) => `${count} ${what}`))}`,
    `datasets removed: ${list(datasets)}`,
    `trained on them: ${list(versions.map(({ model, version }) => `${model} ${version}`))}`,
    ...(unreachable.length === 0
      ? []
      : [`results of batches that cannot be reached from here: ${list(unreachable)}`]),
    ...(topics.length === 0 ? [] : [`topics keep messages until their retention ends: ${list(topics)}`]),
  ].join('\n');
}
