import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { progressLine, type Table } from '../terminal.ts';

interface SearchShown {
  readonly searchId: string;
  readonly experiment: string;
  readonly state: 'searching' | 'judging' | 'ended';
  readonly message: string;
}

interface TrialShown {
  readonly runId: string;
  readonly kind: string;
  readonly state: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly version: number | null;
}

interface SearchOptions extends GlobalOptions {
  readonly trials?: number;
  readonly rounds?: number;
  readonly parallel?: number;
  readonly method?: string;
}

const LOOK_EVERY_MS = 500;

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number above 0');
  return value;
}

/** `hotloop search`: trials over declared ranges; the winner becomes a version if the gate lets it through. */
export function addSearchCommand(program: Command, context: CommandContext): void {
  program
    .command('search')
    .description('search for better training settings over the ranges of training.search')
    .argument('<model>')
    .option('--trials <n>', 'trials in the first round', count)
    .option('--rounds <n>', 'rounds of successive halving', count)
    .option('--parallel <n>', 'trials at once', count)
    .option('--method <name>', 'tpe or random')
    .addHelpText('after', '\nExample: hotloop search churn --trials 12')
    .action(async (model: string, _options: unknown, command: Command) => {
      const { trials, rounds, parallel, method, ...options } = command.optsWithGlobals<SearchOptions>();
      const control = controlClient(options, context.signal);
      let search = await control.post<SearchShown>(`/v1/models/${encodeURIComponent(model)}/searches`, {
        ...{ trials, rounds, parallel, method },
      });
      const readRuns = async () =>
        (
          await control.get<{ runs: TrialShown[] }>('/v1/runs', {
            experiment: search.experiment,
            limit: 1000,
          })
        ).runs;
      {
        using progress = progressLine(context.terminal);
        while (search.state !== 'ended') {
          const runs = await readRuns();
          const ended = runs.filter(({ state }) =>
            ['succeeded', 'refused', 'failed', 'cancelled'].includes(state),
          );
          progress.update(`${search.state}: ${ended.length} of ${runs.length} trials begun have ended`);
          await sleep(LOOK_EVERY_MS, undefined, { signal: context.signal });
          search = await control.get<SearchShown>(`/v1/searches/${search.searchId}`);
        }
      }
      const runs = await readRuns();
      present(context, options, { ...search, runs }, (table) =>
        [
          trialTable(runs, table),
          search.message,
          `all runs: hotloop runs list ${model} --experiment ${search.experiment}`,
        ].join('\n'),
      );
    });
}

const MOST_SHOWN = 12;

function trialTable(runs: readonly TrialShown[], table: Table): string {
  const loss = ({ metrics }: TrialShown) => metrics.trial_loss ?? Number.POSITIVE_INFINITY;
  const trials = runs.filter(({ kind }) => kind === 'trial').toSorted((a, b) => loss(a) - loss(b));
  return table(
    ['trial', 'state', 'loss', 'with'],
    trials.slice(0, MOST_SHOWN).map((run) => [
      run.runId.slice(0, 8),
      run.state,
      Number.isFinite(loss(run)) ? Number(loss(run).toPrecision(4)) : '-',
      ['learning_rate', 'epochs', 'batch', 'hidden', 'activation', 'weight_decay']
        .filter((name) => run.parameters[name] !== undefined)
        .map((name) => `${name} ${JSON.stringify(run.parameters[name])}`)
        .join(', '),
    ]),
  );
}
