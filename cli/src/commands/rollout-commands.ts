import { setTimeout as sleep } from 'node:timers/promises';
import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import type { ControlClient } from '../control-client.ts';
import { progressLine, type Table } from '../terminal.ts';

/** A rollout as the control API tells it. */
export interface RolloutView {
  readonly rolloutId: string;
  readonly model: string;
  readonly version: number;
  readonly fromVersion: number | null;
  readonly action: 'promote' | 'rollback';
  readonly mode: string;
  readonly state: string;
  readonly sharePercent: number;
  readonly message: string;
  readonly actor: string;
  readonly ended: boolean;
  readonly createdAt: string;
}

interface ChangeView {
  readonly sequence: number;
  readonly at: string;
  readonly event: string;
  readonly state: string;
  readonly message: string;
  readonly actor: string;
  readonly reason: string;
}

interface Followed {
  readonly rollout: RolloutView;
  readonly changes: readonly ChangeView[];
}

interface SaidOptions extends GlobalOptions {
  readonly actor?: string;
  readonly reason?: string;
  readonly detach?: boolean;
  readonly yes?: boolean;
}

interface PromoteOptions extends SaidOptions {
  readonly force?: boolean;
  readonly mode?: string;
  readonly steps?: number[];
  readonly share?: number;
  readonly advance?: string;
}

const POLL_MS = 200;
/** States in which a rollout goes on for long: a command does not wait for the end. */
const LASTING = new Set(['approval', 'shadow', 'canary', 'measuring', 'held', 'live']);

/** `hotloop promote`, `hotloop rollback` and `hotloop rollout ...`. */
export function addRolloutCommands(program: Command, context: CommandContext): void {
  said(program.command('promote').description('begin the rollout of a version'))
    .argument('<model>')
    .argument('<version>', 'a version number', parseVersion)
    .option('--mode <mode>', 'at_once, shadow, canary, ab or bandit, instead of what model.yaml says')
    .option('--steps <percents>', 'of a canary, such as 5,25,50', parseSteps)
    .option('--share <fraction>', 'of ab and bandit, such as 0.5', parseShare)
    .option('--advance <rule>', 'evidence, requests, time or manual')
    .option('--force', 'although its gate refused it; needs --reason')
    .option('-d, --detach', 'do not wait until it has begun')
    .addHelpText(
      'after',
      '\nExample:\n  hotloop promote churn 3 --mode canary --steps 5,25,50 --reason "fewer false alarms"',
    )
    .action(async (model: string, version: number, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PromoteOptions>();
      const { actor, reason, force, mode, steps, share, advance } = options;
      const body = dropAbsent({ version, actor, reason, force, mode, steps, share, advance });
      const control = controlClient(options, context.signal);
      const begun = await control.post<RolloutView | null>(
        `/v1/models/${encodeURIComponent(model)}/rollouts`,
        body,
      );
      if (begun === null)
        return present(
          context,
          options,
          { model, version, state: 'live' },
          () => `version ${version} is live already`,
        );
      await tell(begun, options, context, control);
    });
  said(
    program
      .command('rollback')
      .description('back to the previous version, or away from the one being tried out'),
  )
    .argument('<model>')
    .option('-d, --detach', 'do not wait for the end')
    .addHelpText('after', '\nExample:\n  hotloop rollback churn --reason "conversion fell"')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SaidOptions>();
      const control = controlClient(options, context.signal);
      const { actor, reason } = options;
      const path = `/v1/models/${encodeURIComponent(model)}/rollouts`;
      await tell(
        await control.post<RolloutView>(path, dropAbsent({ actor, reason })),
        options,
        context,
        control,
      );
    });
  const rollout = new Command('rollout').description('follow rollouts, and say how they go on');
  program.addCommand(rollout);
  addReading(rollout, context);
  for (const [action, description] of Object.entries(ACTIONS))
    said(rollout.command(action).description(description))
      .argument('<rollout>', 'id of a rollout, or a model: its rollout in progress')
      .option('-y, --yes', 'do not ask first')
      .action(async (id: string, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<SaidOptions>();
        const control = controlClient(options, context.signal);
        const rolloutId = await resolveRollout(control, id);
        if (action === 'abort') await confirmed(context, options, `abort rollout ${rolloutId}?`);
        const { actor, reason } = options;
        const changed = await control.post<RolloutView>(
          `/v1/rollouts/${rolloutId}/${action}`,
          dropAbsent({ actor, reason }),
        );
        present(context, options, changed, () => describe(changed));
      });
}

const ACTIONS = {
  approve: 'agree to a rollout that somebody else asked for',
  hold: 'stay at the present step',
  resume: 'go on after a hold',
  advance: 'go to the next step now',
  abort: 'end it; the live version answers everything',
  rollback: 'the same, as a judgement on the version',
} as const;

function addReading(rollout: Command, context: CommandContext): void {
  rollout
    .command('list')
    .description('rollouts, newest first')
    .argument('[model]')
    .option('--limit <n>', 'how many', '20')
    .action(async (model: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { limit: string }>();
      const path = model === undefined ? '/v1/rollouts' : `/v1/models/${encodeURIComponent(model)}/rollouts`;
      const { rollouts } = await controlClient(options, context.signal).get<{ rollouts: RolloutView[] }>(
        path,
        {
          limit: options.limit,
        },
      );
      present(context, options, rollouts, (table) =>
        rollouts.length === 0
          ? 'no rollouts yet; `hotloop promote MODEL VERSION` begins one'
          : table(['rollout', 'model', 'version', 'mode', 'state', 'share %'], rollouts.map(rowOf)),
      );
    });
  rollout
    .command('show')
    .description('what happened to a rollout')
    .argument('<rollout>', 'id of a rollout, or a model: its newest')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const control = controlClient(options, context.signal);
      const followed = await control.get<Followed>(`/v1/rollouts/${await resolveRollout(control, id)}`);
      present(context, options, followed, (table) => describeFollowed(followed, table));
    });
  rollout
    .command('watch')
    .description('follow a rollout until it ends')
    .argument('<rollout>', 'id of a rollout, or a model: its newest')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const control = controlClient(options, context.signal);
      const ended = await follow(await resolveRollout(control, id), control, context, () => false);
      present(context, options, ended, () => describe(ended));
    });
}

function said(command: Command): Command {
  return command
    .option('--actor <name>', 'who does it; stands in the ledger')
    .option('--reason <text>', 'why; stands in the ledger');
}

/** Waits until the rollout has ended or begun what takes long, and tells which. A failed one fails the command. */
async function tell(
  begun: RolloutView,
  options: SaidOptions,
  context: CommandContext,
  control: ControlClient,
): Promise<void> {
  const last = options.detach ? begun : await followRollout(begun.rolloutId, control, context);
  if (last.state === 'failed')
    throw new HotloopClientError(
      'FAILED_PRECONDITION',
      `version ${last.version} did not become live: ${last.message}`,
      {
        reason: 'promotion_failed',
      },
    );
  present(context, options, last, () => describe(last));
}

/** Waits until a rollout has ended, or stays in a state for a while, such as a canary's. */
export function followRollout(
  rolloutId: string,
  control: ControlClient,
  context: CommandContext,
): Promise<RolloutView> {
  return follow(rolloutId, control, context, ({ state }) => LASTING.has(state));
}

async function follow(
  rolloutId: string,
  control: ControlClient,
  context: CommandContext,
  isEnough: (rollout: RolloutView) => boolean,
): Promise<RolloutView> {
  using progress = progressLine(context.terminal);
  for (;;) {
    const { rollout } = await control.get<Followed>(`/v1/rollouts/${rolloutId}`);
    progress.update(`${rollout.state}: ${rollout.message}`);
    if (rollout.ended || isEnough(rollout)) return rollout;
    await sleep(POLL_MS, undefined, { signal: context.signal });
  }
}

const ROLLOUT_ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** An id as it is; of a model the rollout in progress, else the newest. */
async function resolveRollout(control: ControlClient, text: string): Promise<string> {
  if (ROLLOUT_ID.test(text)) return text;
  const path = `/v1/models/${encodeURIComponent(text)}/rollouts`;
  const { rollouts } = await control.get<{ rollouts: RolloutView[] }>(path);
  const found = rollouts.find(({ ended }) => !ended) ?? rollouts[0];
  if (!found) throw new HotloopClientError('NOT_FOUND', `model ${text} has had no rollout yet`);
  return found.rolloutId;
}

function rowOf({ rolloutId, model, version, mode, action, state, sharePercent }: RolloutView) {
  return [
    rolloutId,
    model,
    version,
    action === 'rollback' ? 'rollback' : mode,
    state,
    Math.round(sharePercent),
  ];
}

function describe({ rolloutId, model, version, state, message, ended, fromVersion }: RolloutView): string {
  const where =
    state === 'live' || state === 'settled'
      ? `version ${version} of ${model} is live${fromVersion ? ` (was ${fromVersion})` : ''}`
      : `version ${version} of ${model}: ${state.replaceAll('_', ' ')}; ${message}`;
  return ended || state === 'live' ? where : `${where}\nfollow it with: hotloop rollout watch ${rolloutId}`;
}

function describeFollowed({ rollout, changes }: Followed, table: Table): string {
  const rows = changes.map((change) => [change.at, change.state, change.actor, change.message]);
  return `${describe(rollout)}\n\n${table(['at', 'state', 'by', 'message'], rows)}`;
}

function dropAbsent(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function parseVersion(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw new CommandError(`version must be a number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('must be a fraction above 0, at most 1');
  return share;
}

function parseSteps(text: string): number[] {
  const steps = text.split(',').map((step) => (step.trim() === '' ? Number.NaN : Number(step)));
  if (steps.some((step) => !(step >= 0 && step <= 100)))
    throw new InvalidArgumentError('must be percents such as 5,25,50');
  return steps;
}
