import { resolve } from 'node:path';
import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { didYouMean } from '@hotloop/proto/nearest-name.ts';
import { Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import type { ControlClient } from '../control-client.ts';
import { progressLine } from '../terminal.ts';

interface BatchReport {
  readonly run_id: string;
  readonly model: string;
  readonly version: number;
  readonly source: string;
  readonly sink: string;
  readonly state: string;
  readonly message: string;
  readonly rows: number | null;
  readonly parts: number;
  readonly parts_done: number;
  readonly accepted: number;
  readonly refused: number;
  readonly rows_per_second: number | null;
  readonly seconds_left: number | null;
  readonly created_at: string;
}

interface RunOptions extends GlobalOptions {
  readonly from?: string;
  readonly to?: string;
  readonly useVersion: string;
  readonly keep?: string[];
  readonly overwrite?: boolean;
  readonly append?: boolean;
  readonly log?: boolean;
  readonly asOf?: string;
  readonly partRows?: number;
  readonly key?: string;
  readonly wait: boolean;
}

const WAIT_MS = 10_000;

/** `hotloop batch run|list|show|cancel|schedule|schedules|pause|resume|run-now|unschedule`. */
export function addBatchCommands(program: Command, context: CommandContext): void {
  const batch = new Command('batch').description('predict all rows of a file, folder, bucket or table');
  program.addCommand(batch);
  addRun(batch, context);
  addList(batch, context);
  addSchedules(batch, context);
}

function withSource(command: Command): Command {
  return command
    .option(
      '--from <source>',
      'file, folder, s3://BUCKET/PREFIX, postgres:VARIABLE/TABLE, postgres:VARIABLE?SELECT or kafka:TOPIC?from=TIME&to=TIME',
    )
    .option(
      '--to <sink>',
      'file (.parquet, .csv, .jsonl), folder of Parquet parts, s3://BUCKET/PREFIX, postgres:VARIABLE/TABLE or kafka:TOPIC',
    )
    .option('--use-version <version>', 'a number, or live, candidate, previous', 'live')
    .option('--keep <columns>', 'columns of the source to keep, separated by commas', commaList)
    .option('--overwrite', 'replace what the sink holds')
    .option('--append', 'add to what a Postgres table or a topic holds')
    .option('--log', 'log each prediction, so that outcomes can be joined to it')
    .option('--as-of <time>', 'history and reference data as of a time, or of the time in this column')
    .option('--part-rows <rows>', 'rows of one part', positive);
}

function addRun(batch: Command, context: CommandContext): void {
  withSource(batch.command('run'))
    .description('predict every row of a source; the workers are `hotloop worker --batch`')
    .argument('<model>')
    .option('--key <key>', 'the same key again is the same run')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      '\nExample: hotloop batch run purchase-intent --from sessions.parquet --to scores.parquet',
    )
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<RunOptions>();
      const control = controlClient(options, context.signal);
      const started = await control.post<BatchReport>('/v1/batch/runs', {
        ...bodyOf(model, options),
        key: options.key ?? '',
      });
      const report = options.wait ? await follow(started, control, context) : started;
      const hasFailed = report.state === 'failed' || report.state === 'cancelled';
      if (options.json || !hasFailed) present(context, options, report, () => describe(report));
      if (hasFailed)
        throw new HotloopClientError('FAILED_PRECONDITION', `the batch ${report.state}: ${report.message}`);
    });
}

function bodyOf(model: string, options: RunOptions) {
  if (options.from === undefined || options.to === undefined)
    throw new CommandError('say --from SOURCE and --to SINK');
  return {
    model,
    version: options.useVersion,
    source: absolute(options.from),
    sink: absolute(options.to),
    options: {
      overwrite: options.overwrite ?? false,
      append: options.append ?? false,
      log: options.log ?? false,
      ...(options.asOf === undefined ? {} : { as_of: options.asOf }),
      ...(options.keep === undefined ? {} : { keep: options.keep }),
      ...(options.partRows === undefined ? {} : { part_rows: options.partRows }),
    },
  };
}

/** Workers have folders of their own, so a file is named in full. */
function absolute(location: string): string {
  return /^(postgres:|kafka:|[a-z][a-z0-9+.-]*:\/\/)/i.test(location) ? location : resolve(location);
}

async function follow(
  started: BatchReport,
  control: ControlClient,
  context: CommandContext,
): Promise<BatchReport> {
  using progress = progressLine(context.terminal);
  let report = started;
  while (!['done', 'failed', 'cancelled'].includes(report.state)) {
    report = await control.get<BatchReport>(`/v1/batch/runs/${report.run_id}`, { wait: WAIT_MS });
    const rate = report.rows_per_second === null ? '' : `, ${report.rows_per_second} rows/s`;
    const left = report.seconds_left === null ? '' : `, ${report.seconds_left} s left`;
    const share = report.parts === 0 ? 0 : report.parts_done / report.parts;
    progress.update(`${report.state}${rate}${left}`, share);
  }
  return report;
}

function describe(report: BatchReport): string {
  const what = `${report.model} version ${report.version}`;
  if (report.state !== 'done')
    return `batch ${report.run_id} of ${what} is ${report.state}${report.message === '' ? '' : `: ${report.message}`}`;
  const rate = report.rows_per_second === null ? '' : ` (${report.rows_per_second} rows/s)`;
  return `${what}: ${report.message} in ${report.sink}${rate}`;
}

function addList(batch: Command, context: CommandContext): void {
  batch
    .command('list')
    .description('batches, newest first')
    .option('--model <model>')
    .option('--schedule <name>')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { model?: string; schedule?: string }>();
      const { runs } = await controlClient(options, context.signal).get<{ runs: BatchReport[] }>(
        '/v1/batch/runs',
        { model: options.model, schedule: options.schedule },
      );
      present(context, options, runs, (table) => {
        if (runs.length === 0)
          return 'no batches yet; `hotloop batch run MODEL --from ... --to ...` starts one';
        const rows = runs.map((run) => [
          run.run_id,
          run.model,
          run.state,
          run.accepted,
          run.refused,
          run.created_at.slice(0, 16),
        ]);
        return table(['run', 'model', 'state', 'rows', 'refused', 'asked'], rows);
      });
    });
  for (const name of ['show', 'cancel'] as const)
    batch
      .command(name)
      .description(name === 'show' ? 'one batch' : 'end a batch; nothing is published')
      .argument('<run>')
      .action(async (run: string, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions>();
        const control = controlClient(options, context.signal);
        const path = `/v1/batch/runs/${encodeURIComponent(run)}`;
        const report =
          name === 'show'
            ? await control.get<BatchReport>(path)
            : await control.post<BatchReport>(`${path}/cancel`);
        present(context, options, report, () => describe(report));
      });
}

interface ScheduleOptions extends RunOptions {
  readonly model?: string;
  readonly cron?: string;
  readonly every?: string;
  readonly timezone: string;
  readonly catchUp: string;
  readonly disable?: boolean;
}

interface ScheduleReport {
  readonly name: string;
  readonly spec: { readonly model: string; readonly cron?: string; readonly every?: string };
  readonly nextAt: number | null;
}

function addSchedules(batch: Command, context: CommandContext): void {
  withSource(batch.command('schedule'))
    .description('run a batch again and again')
    .argument('<name>')
    .requiredOption('--model <model>')
    .option('--cron <pattern>', 'such as "30 6 * * *"')
    .option('--every <duration>', 'such as 1h')
    .option('--timezone <zone>', 'of the cron pattern', 'UTC')
    .option('--catch-up <policy>', 'times that passed while nothing ran: skip, one or all', 'one')
    .option('--disable', 'keep it, but do not run it')
    .addHelpText(
      'after',
      '\nExample: hotloop batch schedule nightly --model purchase-intent --cron "30 6 * * *" --timezone Europe/Berlin \\\n  --from sessions.parquet --to "scores/date={date}"',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ScheduleOptions>();
      const body = {
        ...bodyOf(options.model ?? '', options),
        ...(options.cron === undefined ? {} : { cron: options.cron }),
        ...(options.every === undefined ? {} : { every: options.every }),
        timezone: options.timezone,
        catch_up: options.catchUp,
        enabled: !options.disable,
      };
      const control = controlClient(options, context.signal);
      const schedule = await control.put<ScheduleReport>(
        `/v1/batch/schedules/${encodeURIComponent(name)}`,
        body,
      );
      present(context, options, schedule, () => `${name} runs next at ${timeOf(schedule.nextAt)}`);
    });
  batch
    .command('schedules')
    .description('every schedule and when it runs next')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const control = controlClient(options, context.signal);
      const { schedules } = await control.get<{ schedules: ScheduleReport[] }>('/v1/batch/schedules');
      present(context, options, schedules, (table) => {
        if (schedules.length === 0) return 'no schedules yet';
        const rows = schedules.map(({ name, spec, nextAt }) => [
          name,
          spec.model,
          spec.cron ?? `every ${spec.every}`,
          timeOf(nextAt),
        ]);
        return table(['schedule', 'model', 'when', 'next'], rows);
      });
    });
  for (const [verb, enabled] of [
    ['pause', false],
    ['resume', true],
  ] as const)
    batch
      .command(verb)
      .description(enabled ? 'let a paused schedule run again' : 'keep a schedule, but run it no more')
      .argument('<schedule>')
      .action(async (name: string, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions>();
        const control = controlClient(options, context.signal);
        const known = await scheduleOf(control, name);
        const path = `/v1/batch/schedules/${encodeURIComponent(name)}`;
        const schedule = await control.put<ScheduleReport>(path, { ...known.spec, enabled });
        present(context, options, schedule, () =>
          enabled ? `${name} runs next at ${timeOf(schedule.nextAt)}` : `${name} is paused`,
        );
      });
  batch
    .command('run-now')
    .description('run a schedule once, between its times; never beside a run of it')
    .argument('<schedule>')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/v1/batch/schedules/${encodeURIComponent(name)}/run`;
      const run = await controlClient(options, context.signal).post<{ run_id: string }>(path, {});
      present(context, options, run, () => `run ${run.run_id} has begun: hotloop batch show ${run.run_id}`);
    });
  batch
    .command('unschedule')
    .description('remove a schedule; its runs stay')
    .argument('<name>')
    .option('-y, --yes', 'do it without asking')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { yes?: boolean }>();
      await confirmed(context, options, `Remove the schedule ${name}?`);
      const control = controlClient(options, context.signal);
      const removed = await control.delete(`/v1/batch/schedules/${encodeURIComponent(name)}`);
      present(context, options, removed, () => `${name} is removed`);
    });
}

/** Throws NOT_FOUND with the name that is meant. */
async function scheduleOf(control: ControlClient, name: string): Promise<ScheduleReport> {
  const { schedules } = await control.get<{ schedules: ScheduleReport[] }>('/v1/batch/schedules');
  const found = schedules.find((schedule) => schedule.name === name);
  if (found) return found;
  const meant = didYouMean(
    name,
    schedules.map((schedule) => schedule.name),
  );
  throw new HotloopClientError('NOT_FOUND', `there is no schedule ${JSON.stringify(name)}${meant}`);
}

function timeOf(ms: number | null): string {
  return ms === null ? 'never' : new Date(ms).toISOString();
}

function commaList(text: string): string[] {
  return text.split(',').map((part) => part.trim());
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('must be a whole number, 1 or more');
  return value;
}
