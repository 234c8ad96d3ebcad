import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { decodeManifest } from '@hotloop/model/manifest/decode-manifest.ts';
import { dropZipMap } from '@hotloop/model/onnx/drop-zip-map.ts';
import type { Command } from 'commander';
import {
  type CommandContext,
  controlClient,
  type GlobalOptions,
  present,
  withClient,
} from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import type { Table } from '../terminal.ts';
import { followRollout, type RolloutView } from './rollout-commands.ts';

/** Exit code of `hotloop plan` when something would change. */
const CHANGES = 10;

interface Plan {
  readonly model: string;
  readonly change: 'none' | 'new_model' | 'new_version' | 'promote';
  readonly version: number | null;
  readonly live_version: number | null;
  readonly mode: string;
  readonly message: string;
}

interface PlannedFolder extends Plan {
  readonly folder: string;
}

interface ApplyOptions extends GlobalOptions {
  readonly reason?: string;
}

const WORDS = {
  none: 'nothing',
  new_model: 'new model',
  new_version: 'new version',
  promote: 'go live',
} as const;

/** `hotloop plan DIR` and `hotloop apply DIR`: a folder of models under version control, against what is registered and live. */
export function addPlanCommands(program: Command, context: CommandContext): void {
  program
    .command('plan')
    .description('what pushing a folder of models would change; changes nothing')
    .argument('<folder>', 'a folder with model.yaml, or of such folders')
    .addHelpText(
      'after',
      `\nExit code: 0 nothing would change, ${CHANGES} something would.\n\nExample:\n  hotloop plan models`,
    )
    .action(async (folder: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const plans = await planAll(folder, options, context);
      present(context, options, { models: plans }, (table) => describe(plans, table));
      if (plans.some(({ change }) => change !== 'none')) context.fail?.(CHANGES);
    });
  program
    .command('apply')
    .description('push a folder of models, and roll out what is not live as each model.yaml says')
    .argument('<folder>', 'a folder with model.yaml, or of such folders')
    .option('--reason <text>', 'kept in the ledger')
    .addHelpText(
      'after',
      '\nThe same again changes nothing.\n\nExample:\n  hotloop apply models --reason "release 12"',
    )
    .action(async (folder: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ApplyOptions>();
      const plans = await planAll(folder, options, context);
      const applied: (PlannedFolder & { readonly state: string })[] = [];
      for (const plan of plans) applied.push({ ...plan, ...(await applyOne(plan, options, context)) });
      present(context, options, { models: applied }, (table) =>
        table(
          ['model', 'version', 'state'],
          applied.map(({ model, version, state }) => [model, version ?? '-', state]),
        ),
      );
    });
}

/** Pushes, then rolls out; waits until the version is live or has begun to be tried out. */
async function applyOne(
  plan: PlannedFolder,
  options: ApplyOptions,
  context: CommandContext,
): Promise<{ readonly version: number | null; readonly state: string }> {
  if (plan.change === 'none') return { version: plan.version, state: 'unchanged' };
  const version =
    plan.change === 'promote' && plan.version !== null ? plan.version : await push(plan, options, context);
  const control = controlClient(options, context.signal);
  const reason = options.reason === undefined ? {} : { reason: options.reason };
  const path = `/v1/models/${encodeURIComponent(plan.model)}/rollouts`;
  const begun = await control.post<RolloutView | null>(path, { version, ...reason });
  if (begun === null) return { version, state: 'live' };
  const last = await followRollout(begun.rolloutId, control, context);
  if (last.ended && last.state !== 'settled' && last.state !== 'live')
    throw new HotloopClientError('FAILED_PRECONDITION', `${plan.model} version ${version}: ${last.message}`, {
      reason: 'promotion_failed',
    });
  return { version, state: last.state === 'settled' ? 'live' : last.state };
}

async function push(plan: PlannedFolder, options: ApplyOptions, context: CommandContext): Promise<number> {
  const { manifestYaml, onnx } = await readFolder(plan.folder, context);
  return withClient(options, async (client) => {
    const operation = client.models.push(
      { manifestYaml, ...(onnx ? { onnx } : {}), note: options.reason ?? '' },
      { signal: context.signal },
    );
    for await (const _ of operation);
    return (await operation.finished()).version.version;
  });
}

async function planAll(
  folder: string,
  options: GlobalOptions,
  context: CommandContext,
): Promise<PlannedFolder[]> {
  const control = controlClient(options, context.signal);
  const plans: PlannedFolder[] = [];
  for (const each of await foldersIn(folder)) {
    const { manifestYaml, onnx } = await readFolder(each, context);
    // The registry keeps the file without maps in its outputs, so that is what it is compared with.
    const kept = onnx && keptFile(onnx, each);
    const onnx_sha256 = kept ? createHash('sha256').update(kept).digest('hex') : '';
    const plan = await control
      .post<Plan>('/v1/plan', { manifest_yaml: manifestYaml, onnx_sha256 })
      .catch((error: unknown) => {
        if (!(error instanceof HotloopClientError)) throw error;
        const { code, message, reason } = error;
        throw new HotloopClientError(code, `${each}: ${message}`, { reason, cause: error });
      });
    plans.push({ ...plan, folder: each });
  }
  const twice = plans.find(({ model }, index) => plans.findIndex((other) => other.model === model) !== index);
  if (twice !== undefined)
    throw new CommandError(`two folders describe model ${twice.model}; one of them is ${twice.folder}`);
  return plans;
}

/** Throws CommandError naming the file where it is no model. */
function keptFile(onnx: Buffer, folder: string): Uint8Array {
  try {
    return dropZipMap(onnx)?.onnx ?? onnx;
  } catch (cause) {
    throw new CommandError(`${join(folder, 'model.onnx')}: ${(cause as Error).message}`, { cause });
  }
}

/** The folder itself, or those in it, that have a model.yaml; by name. */
async function foldersIn(folder: string): Promise<string[]> {
  if (existsSync(join(folder, 'model.yaml'))) return [folder];
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new CommandError(`${folder} cannot be read as a folder`, { cause });
  });
  const found = entries
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'model.yaml')))
    .map(({ name }) => join(folder, name))
    .sort();
  if (found.length === 0) throw new CommandError(`${folder} has no model.yaml, nor has any folder in it`);
  return found;
}

async function readFolder(
  folder: string,
  context: CommandContext,
): Promise<{ readonly manifestYaml: string; readonly onnx: Buffer | undefined }> {
  const manifestYaml = decodeManifest(await context.readFile(join(folder, 'model.yaml')));
  const file = join(folder, 'model.onnx');
  return { manifestYaml, onnx: existsSync(file) ? await context.readFile(file) : undefined };
}

function describe(plans: readonly PlannedFolder[], table: Table): string {
  const rows = plans.map(({ folder, model, change, live_version, mode, message }) => [
    model,
    basename(folder),
    WORDS[change],
    live_version ?? '-',
    mode,
    message,
  ]);
  return table(['model', 'folder', 'change', 'live', 'rollout', ''], rows);
}
