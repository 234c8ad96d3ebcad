import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';

interface LedgerRow {
  readonly sequence: number;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly version: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

interface Which {
  readonly model: string;
  readonly at: string;
  readonly version: number | null;
  readonly since: LedgerRow | null;
}

interface Verdict {
  readonly rows: number;
  readonly sound: boolean;
  readonly broken: { readonly sequence: number; readonly problem: string } | null;
  readonly head: string;
}

/** `hotloop ledger show|verify` and `hotloop which`. */
export function addLedgerCommands(program: Command, context: CommandContext): void {
  const ledger = new Command('ledger').description('who changed what, when and why');
  program.addCommand(ledger);
  ledger
    .command('show')
    .description("a model's history, newest first")
    .argument('<model>')
    .option('--limit <n>', 'how many rows', '50')
    .addHelpText('after', '\nExample:\n  hotloop ledger show churn --limit 10')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { limit: string }>();
      const path = `/v1/models/${encodeURIComponent(model)}/ledger`;
      const { rows } = await controlClient(options, context.signal).get<{ rows: LedgerRow[] }>(path, {
        limit: options.limit,
      });
      present(context, options, rows, (table) =>
        rows.length === 0
          ? `nothing has happened to ${model} yet`
          : table(['at', 'by', 'what', 'version', 'detail'], rows.map(rowOf)),
      );
    });
  ledger
    .command('verify')
    .description('check the chain of hashes from the first row to the last')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const verdict = await controlClient(options, context.signal).get<Verdict>('/v1/ledger/verify');
      if (verdict.broken)
        throw new HotloopClientError(
          'FAILED_PRECONDITION',
          `row ${verdict.broken.sequence} of the ledger is not what was written: ${verdict.broken.problem}`,
          { reason: 'ledger_broken' },
        );
      present(
        context,
        options,
        verdict,
        () => `${verdict.rows} rows, none altered; the last hash is ${verdict.head}`,
      );
    });
  program
    .command('which')
    .description('which version of a model was live at a moment')
    .argument('<model>')
    .option('--at <time>', 'such as 2026-05-01T12:00:00Z; now when absent')
    .addHelpText('after', '\nExample:\n  hotloop which churn --at 2026-05-01T12:00:00Z')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { at?: string }>();
      const path = `/v1/models/${encodeURIComponent(model)}/which`;
      const which = await controlClient(options, context.signal).get<Which>(path, { at: options.at });
      present(context, options, which, () =>
        which.since === null
          ? `no version of ${model} was live at ${which.at}`
          : `version ${which.version} of ${model}, since ${which.since.at} (${which.since.action} by ${which.since.actor})`,
      );
    });
}

function rowOf({ at, actor, action, version, detail }: LedgerRow): (string | number)[] {
  const event = typeof detail.event === 'string' ? `${action} ${detail.event}` : action;
  const why = [detail.message, detail.reason].filter((text) => typeof text === 'string' && text !== '');
  return [at, actor, event.replaceAll('_', ' '), version ?? '-', why.join('; ')];
}
