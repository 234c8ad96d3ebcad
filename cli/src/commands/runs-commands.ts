import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import type { Table } from '../terminal.ts';

interface RunShown {
  readonly runId: string;
  readonly model: string;
  readonly kind: string;
  readonly experiment: string;
  readonly state: string;
  readonly message: string;
  readonly reason: string;
  readonly parentVersion: number | null;
  readonly version: number | null;
  readonly datasetSha256: string | null;
  readonly examples: number;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly hardware: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
  readonly seconds: number | null;
}

interface RunDetails extends RunShown {
  readonly gateTable: string | null;
  readonly curve: readonly { readonly name: string; readonly step: number; readonly value: number }[];
}

const number = (value: number): string => String(Number(value.toPrecision(4)));

/** `hotloop runs list|show|compare|cancel|dead-letters`. */
export function addRunsCommands(program: Command, context: CommandContext): void {
  const runs = new Command('runs').description(
    'training runs: what they learnt from, with what, and how good',
  );
  program.addCommand(runs);
  runs
    .command('dead-letters')
    .description('jobs of the training queue that were no run')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { deadLetters } = await controlClient(options, context.signal).get<{
        deadLetters: { at: string; reason: string; job: string }[];
      }>('/v1/runs/dead-letters');
      present(context, options, deadLetters, (table) =>
        deadLetters.length === 0
          ? 'none: every job of the queue was a run'
          : table(
              ['at', 'reason', 'job'],
              deadLetters.map(({ at, reason, job }) => [at.slice(0, 19), reason, job]),
            ),
      );
    });
  runs
    .command('list')
    .description('training runs, newest first')
    .argument('[model]')
    .option('--experiment <name>', 'only the runs of one experiment, such as a search')
    .addHelpText('after', '\nExample: hotloop runs list churn')
    .action(async (model: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { experiment?: string }>();
      const found = await controlClient(options, context.signal).get<{ runs: RunShown[] }>('/v1/runs', {
        model,
        experiment: options.experiment,
      });
      present(context, options, found.runs, (table) =>
        found.runs.length === 0
          ? 'no runs yet; `hotloop retrain MODEL` starts one'
          : table(
              ['run', 'model', 'state', 'version', 'examples', 'seconds', 'what it says'],
              found.runs.map((run) => [
                run.runId.slice(0, 8),
                run.model.slice(0, 20),
                run.kind === 'trial' ? `${run.state} trial` : run.state,
                run.version ?? '-',
                run.examples,
                run.seconds === null ? '-' : number(run.seconds),
                run.message,
              ]),
            ),
      );
    });
  runs
    .command('show')
    .description('one run: parameters, metrics, the table of its gate, and its curves')
    .argument('<run>', 'the id, or its first digits')
    .addHelpText('after', '\nExample: hotloop runs show 3f2a9c1d')
    .action(async (run: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const shown = await readRun(options, context, run);
      present(context, options, shown, () => describe(shown));
    });
  runs
    .command('compare')
    .description('runs side by side: where their parameters and metrics differ')
    .argument('<runs...>', 'two or more ids')
    .addHelpText('after', '\nExample: hotloop runs compare 3f2a9c1d 88b01e2f')
    .action(async (ids: string[], _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      if (ids.length < 2) throw new CommandError('name two or more runs');
      const shown = await Promise.all(ids.map((id) => readRun(options, context, id)));
      present(context, options, shown, (table) => compare(shown, table));
    });
  runs
    .command('cancel')
    .description('end a run; nothing of it is registered')
    .argument('<run>')
    .action(async (run: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const id = await fullId(options, context, run);
      const ended = await controlClient(options, context.signal).post<RunShown>(`/v1/runs/${id}/cancel`);
      present(context, options, ended, () => `${ended.runId}: ${ended.message}`);
    });
}

async function readRun(options: GlobalOptions, context: CommandContext, run: string): Promise<RunDetails> {
  const id = await fullId(options, context, run);
  return controlClient(options, context.signal).get<RunDetails>(`/v1/runs/${id}`);
}

/** The id that begins with these digits. */
async function fullId(options: GlobalOptions, context: CommandContext, run: string): Promise<string> {
  if (run.length === 36) return run;
  const { runs } = await controlClient(options, context.signal).get<{ runs: RunShown[] }>('/v1/runs', {
    limit: 1000,
  });
  const found = runs.filter(({ runId }) => run.length >= 4 && runId.startsWith(run));
  if (found.length === 1) return found[0]!.runId;
  if (found.length === 0) throw new HotloopClientError('NOT_FOUND', `there is no run ${run}`);
  throw new CommandError(`several runs begin with ${run}; give more digits`);
}

function describe(run: RunDetails): string {
  const pairs = (record: Readonly<Record<string, unknown>>) =>
    Object.entries(record).map(
      ([name, value]) =>
        `  ${name.padEnd(20)}${typeof value === 'number' ? number(value) : JSON.stringify(value)}`,
    );
  const section = (title: string, lines: readonly string[]) => (lines.length === 0 ? [] : [title, ...lines]);
  return [
    `${run.runId}  ${run.model}: ${run.state}, ${run.version === null ? 'no version' : `version ${run.version}`} from version ${run.parentVersion ?? 'none'}`,
    `${run.examples} examples, dataset ${run.datasetSha256?.slice(0, 12) ?? '-'}, ${run.seconds === null ? 'not ended' : `${number(run.seconds)} s`}`,
    ...section('parameters', pairs(run.parameters)),
    ...section('metrics', pairs(run.metrics)),
    ...section('hardware', pairs(run.hardware)),
    ...section('curves', curves(run.curve)),
    ...(run.gateTable === null ? [run.message] : ['gate', run.gateTable]),
  ].join('\n');
}

/** First, middle and last value of each curve. */
function curves(points: RunDetails['curve']): string[] {
  return [...Map.groupBy(points, ({ name }) => name)].map(([name, own]) => {
    const chosen = [...new Set([0, own.length >> 1, own.length - 1])].map((index) => own[index]!);
    return `  ${name.padEnd(20)}${chosen.map(({ step, value }) => `${number(value)} at ${step}`).join(', ')}`;
  });
}

function compare(runs: readonly RunDetails[], table: Table): string {
  const all = runs.map(
    ({ parameters, metrics }) => ({ ...parameters, ...metrics }) as Record<string, unknown>,
  );
  const names = [...new Set(all.flatMap(Object.keys))].filter(
    (name) => new Set(all.map((one) => JSON.stringify(one[name]))).size > 1,
  );
  const text = (value: unknown) =>
    value === undefined ? '-' : typeof value === 'number' ? number(value) : JSON.stringify(value);
  return table(
    ['', ...runs.map(({ runId }) => runId.slice(0, 8))],
    [
      ['state', ...runs.map(({ state }) => state)],
      ...names.map((name) => [name, ...all.map((one) => text(one[name]))]),
    ],
  );
}
