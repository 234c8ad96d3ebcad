import { basename, join } from 'node:path';
import type { ModelBundle, ModelDetails, PromotionStep } from '@hotloop/client/models.ts';
import type { Operation } from '@hotloop/client/operation.ts';
import type { Run } from '@hotloop/client/runs.ts';
import { decodeManifest } from '@hotloop/model/manifest/decode-manifest.ts';
import { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present, withClient } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { fetchMlflowModel, isMlflowReference } from '../mlflow-source.ts';
import { progressLine, type Table } from '../terminal.ts';
import { addModelConvert } from './convert-command.ts';
import { addModelInit } from './model-init-command.ts';

const MOST_METRICS = 2;
const RUNS_LOOKED_AT = 20;
const REJECTED_SHOWN = 3;

interface PushOptions extends GlobalOptions {
  readonly name?: string;
  readonly note?: string;
  readonly promote?: boolean;
  readonly untrained?: boolean;
  readonly mlflow?: string;
  readonly manifest?: string;
}

interface FlipOptions extends GlobalOptions {
  readonly actor?: string;
}

/** `hotloop model init|push|list|show|promote|rollback`. */
export function addModelCommands(program: Command, context: CommandContext): void {
  const model = new Command('model').description('register models and say which version is live');
  program.addCommand(model);
  addPush(model, context);
  model
    .command('list')
    .description('every model and its live version')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const models = await withClient(options, (client) => client.models.list({ signal: context.signal }));
      present(context, options, models, (table) => {
        if (models.length === 0) return 'no models yet; `hotloop model push DIR` registers one';
        const rows = models.map((entry) => [
          entry.name,
          entry.task,
          entry.liveVersion || '-',
          entry.previousVersion || '-',
          entry.versions,
        ]);
        return table(['model', 'task', 'live', 'previous', 'versions'], rows);
      });
    });
  model
    .command('show')
    .description('the versions of a model')
    .argument('<model>')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { details, refused } = await withClient(options, async (client) => {
        const details = await client.models.get(name, { signal: context.signal });
        // Why the newest candidates were rejected is a part of the page only: without it the page still stands.
        const runs = await client.runs
          .list(name, { limit: RUNS_LOOKED_AT, signal: context.signal })
          .catch(() => []);
        return { details, refused: runs.filter((run) => run.state === 'refused' || run.state === 'failed') };
      });
      present(context, options, { ...details, rejected: refused }, (table) =>
        describe(details, refused.slice(0, REJECTED_SHOWN), table),
      );
    });
  addFlips(model, context);
  addModelInit(model, context);
  addModelConvert(model, context);
}

function addPush(model: Command, context: CommandContext): void {
  model
    .command('push')
    .description('register the next version of a model')
    .argument(
      '<path>',
      'a folder with model.yaml and, unless it begins untrained, model.onnx; an .onnx file with --name; or models:/NAME@ALIAS of MLflow',
    )
    .option('--mlflow <url>', 'tracking server for models:/..., else MLFLOW_TRACKING_URI')
    .option('--manifest <file>', 'model.yaml for models:/..., unless it was logged beside the model')
    .option('-n, --name <name>', 'name of a bare .onnx file, served as a tensor model')
    .option('--note <text>', 'kept with the version')
    .option('--promote', 'make it live as well')
    .option('--untrained', 'without model.onnx: begin with untrained weights, even where trained ones fit')
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PushOptions>();
      const bundle = await readBundle(path, options, context);
      await withClient(options, async (client) => {
        const push = client.models.push(bundle, { signal: context.signal });
        {
          using progress = progressLine(context.terminal);
          for await (const { sentBytes, totalBytes } of push)
            progress.update(`uploading ${basename(path)}`, sentBytes / totalBytes);
        }
        const { version, created, weightsFrom, newColumns } = await push.finished();
        if (options.promote)
          await follow(
            client.models.promote(version.model, version.version, { signal: context.signal }),
            context,
          );
        present(
          context,
          options,
          { ...version, created, weightsFrom, newColumns, promoted: options.promote ?? false },
          () => {
            const done = created ? 'registered' : 'was registered already';
            const next = options.promote
              ? 'and is live'
              : `; \`hotloop model promote ${version.model} ${version.version}\` makes it live`;
            const kept = weightsFrom > 0 ? ` with the weights of version ${weightsFrom}` : '';
            const added =
              newColumns.length === 0
                ? ''
                : `\nthese weights do not know ${newColumns.join(', ')}: no effect until \`hotloop retrain ${version.model}\``;
            return `${version.model} version ${version.version} ${done}${kept}${options.promote ? ' ' : ''}${next}${added}`;
          },
        );
      });
    });
}

async function readBundle(path: string, options: PushOptions, context: CommandContext): Promise<ModelBundle> {
  const note = options.note === undefined ? {} : { note: options.note };
  if (isMlflowReference(path)) return readMlflow(path, options, context);
  if (path.endsWith('.onnx')) {
    if (options.name === undefined)
      throw new CommandError(
        `${path} is a bare model: name it with --name, or push a folder with model.yaml`,
      );
    return { onnx: await context.readFile(path), name: options.name, ...note };
  }
  const [manifest, onnx] = await Promise.all([
    context.readFile(join(path, 'model.yaml')),
    context.readFile(join(path, 'model.onnx')).catch(absent),
  ]);
  const manifestYaml = decodeManifest(manifest);
  if (!onnx && !/\bremote\s*:/.test(manifestYaml))
    context.terminal.err.write(
      options.untrained
        ? `${path} has no model.onnx: it begins untrained, and learns from outcomes\n`
        : `${path} has no model.onnx: trained weights of the model are kept where they fit; a new model begins untrained\n`,
    );
  return {
    untrained: options.untrained ?? false,
    ...(onnx ? { onnx } : {}),
    manifestYaml,
    ...note,
  };
}

async function readMlflow(
  reference: string,
  options: PushOptions,
  context: CommandContext,
): Promise<ModelBundle> {
  const { MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN } = context.environment ?? {};
  const url = options.mlflow ?? MLFLOW_TRACKING_URI;
  if (url === undefined || !/^https?:/.test(url))
    throw new CommandError(
      `${reference} is in MLflow: say --mlflow http://HOST:PORT, or set MLFLOW_TRACKING_URI`,
    );
  const found = await fetchMlflowModel(reference, { url, token: MLFLOW_TRACKING_TOKEN });
  const manifestYaml =
    options.manifest === undefined
      ? found.manifestYaml
      : decodeManifest(await context.readFile(options.manifest));
  const note = options.note ?? `MLflow ${found.name} version ${found.version}`;
  if (manifestYaml === null) return { onnx: found.onnx, name: options.name ?? found.name, note };
  return { onnx: found.onnx, manifestYaml, note };
}

/** A folder without model.onnx begins with an untrained network; any other trouble with the file is trouble. */
function absent(error: unknown): undefined {
  const cause = error instanceof CommandError ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
  throw error;
}

function addFlips(model: Command, context: CommandContext): void {
  const flip = async (
    options: FlipOptions,
    start: (actor: { actor?: string; signal: AbortSignal }) => Operation<PromotionStep, PromotionStep>,
  ) => {
    const actor = options.actor === undefined ? {} : { actor: options.actor };
    const last = await follow(start({ ...actor, signal: context.signal }), context);
    present(
      context,
      options,
      last,
      () => `version ${last.toVersion} is live${last.fromVersion ? ` (was ${last.fromVersion})` : ''}`,
    );
  };
  model
    .command('promote')
    .description('load and warm a version on every node, then make it live')
    .argument('<model>')
    .argument('<version>', 'a version number', parseVersion)
    .option('--actor <name>', 'who does it; stands in the ledger')
    .action((name: string, version: number, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<FlipOptions>();
      return withClient(options, (client) =>
        flip(options, (given) => client.models.promote(name, version, given)),
      );
    });
  model
    .command('rollback')
    .description('make the previous version live again; it is still warm')
    .argument('<model>')
    .option('--actor <name>', 'who does it; stands in the ledger')
    .action((name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<FlipOptions>();
      return withClient(options, (client) => flip(options, (given) => client.models.rollback(name, given)));
    });
}

async function follow(
  operation: Operation<PromotionStep, PromotionStep>,
  context: CommandContext,
): Promise<PromotionStep> {
  using progress = progressLine(context.terminal);
  for await (const step of operation)
    progress.update(`${step.state}${step.message === '' ? '' : `: ${step.message}`}`);
  return await operation.finished();
}

function parseVersion(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw new CommandError(`version must be a number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function describe({ model, versions }: ModelDetails, refused: readonly Run[], table: Table): string {
  const head = `${model.name} (${model.task || 'no task'}), live version ${model.liveVersion || 'none'}`;
  const rows = versions.map((version) => [
    version.version,
    version.state,
    version.parentVersion || '-',
    metricsOf(version.metrics),
    nodesOf(version.nodes),
    version.createdAt.slice(0, 16).replace('T', ' '),
  ]);
  const failures = versions.flatMap((version) =>
    version.nodes
      .filter((node) => node.detail !== '')
      .map((node) => `version ${version.version} on ${node.node}: ${node.detail}`),
  );
  const rejected = refused.map(
    (run) => `rejected ${run.endedAt.slice(0, 16).replace('T', ' ')}: ${run.message}`,
  );
  const shown = table(['version', 'state', 'from', 'metrics', 'nodes', 'registered'], rows);
  return [`${head}\n`, shown, ...[...failures, ...rejected].map((line) => `\n${line}`)].join('\n');
}

/** As many as fit; the rest is in `--json`. */
function metricsOf(metrics: Readonly<Record<string, number>>): string {
  const all = Object.entries(metrics).map(([name, value]) => `${name} ${Number(value.toFixed(4))}`);
  return all.length > MOST_METRICS ? `${all.slice(0, MOST_METRICS).join(', ')}, …` : all.join(', ');
}

function nodesOf(nodes: ModelDetails['versions'][number]['nodes']): string {
  const counts = Map.groupBy(nodes, (node) => node.state);
  return [...counts].map(([state, some]) => `${some.length} ${state}`).join(', ');
}
