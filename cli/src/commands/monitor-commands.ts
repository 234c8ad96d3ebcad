import { notJudgedLines } from '@hotloop/retrainer/monitoring/signals/not-judged.ts';
import type { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { addMonitorCheck } from './monitor-check.ts';

interface Incident {
  readonly id: string;
  readonly model: string;
  readonly state: string;
  readonly severity: string;
  readonly title: string;
  readonly cost: {
    metric: string;
    loss: number;
    low: number;
    high: number;
    method: string;
    known: boolean;
  } | null;
  readonly openedAt: number;
  readonly evidence?: {
    readonly beganAt?: number;
    readonly action?: string;
    readonly producer?: {
      firstAt: number;
      topic: string;
      field: string;
      partition: number | null;
      firstOffset: string | null;
    };
  };
}

interface Quality {
  readonly metric: string;
  readonly slice?: string;
  readonly rows: number;
  readonly labelled: number;
  readonly measured: { value: number; low: number; high: number } | null;
  readonly estimated: { value: number; low: number; high: number } | null;
}

interface Report {
  readonly version: number | null;
  readonly baseline: string | null;
  readonly calls: readonly {
    version: number;
    variant: string;
    caller: string;
    calls: number;
    errors: number;
    degraded: number;
    codes: Readonly<Record<string, number>>;
  }[];
  readonly quality: readonly Quality[];
  readonly slices: readonly Quality[];
  readonly estimatorError: { mean: number; days: number } | null;
  readonly duplicateShare: number | null;
  readonly features: readonly {
    name: string;
    rows: number;
    missingShare: number;
    drift: { effect: number; threshold: number } | null;
  }[];
  readonly gaps: Readonly<Record<string, string>>;
  readonly notJudged: readonly { feature: string | null; reason: string }[];
  readonly incidents: readonly Incident[];
  readonly silences: readonly Silence[];
}

interface Silence {
  readonly id: string;
  readonly cause: string;
  readonly until: number;
  readonly reason: string;
  readonly actor: string;
}

/** `hotloop monitor` and `hotloop incidents`. */
export function addMonitorCommands(program: Command, context: CommandContext): void {
  const monitor = program
    .command('monitor')
    .description('calls, drift and incidents of a model')
    .argument('<model>')
    .option('--since <time>', 'a duration such as 7d, or a date', '7d')
    .option('--html', 'the report as one HTML file, on standard output')
    .addHelpText(
      'after',
      '\nExample:\n  hotloop monitor shoppers --since 1d\n  hotloop monitor shoppers --html > report.html',
    )
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { since: string; html?: boolean }>();
      const client = controlClient(options, context.signal);
      const path = `/v1/models/${encodeURIComponent(model)}/monitoring`;
      if (options.html) {
        const answer = await client.open(`${path}/report.html`, { since: options.since });
        context.terminal.out.write(await answer.text());
        return;
      }
      const report = await client.get<Report>(path, { since: options.since });
      present(context, options, report, () => describeReport(model, report));
    });
  addMonitorCheck(monitor, context);
  const incidents = program
    .command('incidents')
    .description('what is wrong now')
    .option('--all', 'those that are over, too')
    .addHelpText('after', '\nExample:\n  hotloop incidents --all')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { all?: boolean }>();
      const query = options.all ? {} : { open: true };
      const { incidents } = await controlClient(options, context.signal).get<{ incidents: Incident[] }>(
        '/v1/incidents',
        query,
      );
      present(
        context,
        options,
        incidents,
        () => incidents.map(describeIncident).join('\n') || 'no incidents',
      );
    });
  addIncidentActions(incidents, context);
}

interface ActionOptions extends GlobalOptions {
  readonly note?: string;
  readonly for?: string;
  readonly cause?: string;
  readonly reason?: string;
}

function addIncidentActions(incidents: Command, context: CommandContext): void {
  const changed = (name: string, path: string, description: string, done: string) =>
    incidents
      .command(name)
      .description(description)
      .argument('<id>')
      .option('--note <text>', 'why', '')
      .action(async (id: string, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<ActionOptions>();
        const client = controlClient(options, context.signal);
        const incident = await client.post<Incident>(`/v1/incidents/${encodeURIComponent(id)}/${path}`, {
          note: options.note ?? '',
        });
        present(context, options, incident, () => `${done}: ${incident.title}`);
      });
  changed('ack', 'acknowledge', 'say that somebody looks after it: it is not escalated', 'acknowledged');
  changed('close', 'close', 'close it now', 'closed');
  incidents
    .command('silence')
    .description('send nothing about a model, or one cause of it, for a time')
    .argument('<model>')
    .requiredOption('--reason <text>', 'why')
    .option('--for <time>', 'such as 2h', '1h')
    .option('--cause <cause>', 'as an incident names it, such as feature:price', '')
    .addHelpText(
      'after',
      '\nExample:\n  hotloop incidents silence shoppers --for 2h --reason "price import is being repaired"',
    )
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ActionOptions>();
      const silence = await controlClient(options, context.signal).post(
        `/v1/models/${encodeURIComponent(model)}/silences`,
        { for: options.for, cause: options.cause, reason: options.reason },
      );
      present(context, options, silence, () => `nothing is sent about ${model} for ${options.for}`);
    });
  incidents
    .command('silences')
    .description('silences of a model that are in force, with their reasons')
    .argument('<model>')
    .option('--end <id>', 'end this silence; problems that persist are reported')
    .addHelpText('after', '\nExample:\n  hotloop incidents silences shoppers')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { end?: string }>();
      const client = controlClient(options, context.signal);
      const path = `/v1/models/${encodeURIComponent(model)}/silences`;
      if (options.end !== undefined) {
        const ended = await client.delete(`${path}/${encodeURIComponent(options.end)}`);
        return present(context, options, ended, () => `ended ${options.end}`);
      }
      const { silences } = await client.get<{ silences: Silence[] }>(path);
      present(context, options, silences, () => silences.map(describeSilence).join('\n') || 'no silences');
    });
}

function describeReport(model: string, report: Report): string {
  const calls = report.calls.reduce((sum, one) => sum + one.calls, 0);
  const errors = report.calls.reduce((sum, one) => sum + one.errors, 0);
  const features = report.features.map(({ name, rows, missingShare, drift }) => {
    const mark = drift && drift.effect >= drift.threshold ? '  drifted' : '';
    const effect = drift ? drift.effect.toFixed(3) : '-';
    return `  ${name.slice(0, 40).padEnd(42)}${String(rows).padStart(9)}${`${(missingShare * 100).toFixed(1)} %`.padStart(10)}${effect.padStart(9)}${mark}`;
  });
  return [
    `${model}, ${report.version === null ? 'no version live' : `version ${report.version}`}: ${calls} calls, ${errors} failed; compared with ${report.baseline ?? 'nothing yet'}`,
    ...callLines(report),
    ...qualityLines(report),
    ...(features.length === 0
      ? []
      : [
          `  ${'feature'.padEnd(42)}${'rows'.padStart(9)}${'missing'.padStart(10)}${'drift'.padStart(9)}`,
          ...features,
        ]),
    ...notJudgedLines(report.notJudged).map((line) => `  not judged: ${line}`),
    ...gapLines(report),
    ...report.incidents.map(describeIncident),
    ...report.silences.map(describeSilence),
  ].join('\n');
}

/** Why parts of the report are empty; why a feature is not judged is printed above. */
function gapLines({ gaps }: Report): string[] {
  const { features: _features, baseline: _baseline, ...others } = gaps;
  return Object.values(others).map((line) => `  ${line}`);
}

/** Who asked how often, the most first. */
function callLines({ calls, duplicateShare }: Report): string[] {
  if (calls.length === 0) return [];
  const lines = calls.slice(0, 10).map((one) => {
    const share = (count: number) => `${((100 * count) / Math.max(1, one.calls)).toFixed(1)} %`;
    const codes = Object.entries(one.codes).map(([code, count]) => ` ${code} ${count}`);
    const by = one.version === 0 ? 'refused at the door' : `version ${one.version} ${one.variant}`;
    const who = `${one.caller || '(no key)'}, ${by}`.slice(0, 42);
    return `  ${who.padEnd(42)}${String(one.calls).padStart(9)}${share(one.calls - one.errors).padStart(10)}${share(one.degraded).padStart(10)}${codes.join(',')}`;
  });
  return [
    `  ${'caller'.padEnd(42)}${'calls'.padStart(9)}${'answered'.padStart(10)}${'degraded'.padStart(10)}`,
    ...lines,
    ...(duplicateShare === null
      ? []
      : [`  about ${(duplicateShare * 100).toFixed(1)} % of the rows are repeats`]),
  ];
}

function qualityLines({ quality, slices, estimatorError }: Report): string[] {
  const newest = quality.findLast(({ measured, estimated }) => measured !== null || estimated !== null);
  const shown = (one: Quality['measured']) =>
    one ? `${one.value.toFixed(3)} (${one.low.toFixed(3)} to ${one.high.toFixed(3)})` : 'not yet';
  const line = (name: string, one: Quality) =>
    `  ${name.slice(0, 40)}: measured ${shown(one.measured)}, estimated ${shown(one.estimated)}; labels of ${((100 * one.labelled) / Math.max(1, one.rows)).toFixed(0)} %`;
  return [
    ...(newest ? [line(`${newest.metric} of the newest day`, newest)] : []),
    ...(estimatorError
      ? [
          `  estimates were off by ${estimatorError.mean.toFixed(3)} over ${estimatorError.days} days with labels`,
        ]
      : []),
    ...slices.slice(0, 10).map((one) => line(`${one.metric} where ${one.slice ?? ''}`, one)),
  ];
}

function describeIncident(incident: Incident): string {
  const { id, model, state, severity, title, cost, evidence, openedAt } = incident;
  const loss = cost?.known
    ? `${cost.low > 0 ? 'costs' : 'no loss shown:'} ${cost.loss.toFixed(3)} ${cost.metric} (${cost.low.toFixed(3)} to ${cost.high.toFixed(3)})`
    : `cost not known${cost ? `: ${cost.method}` : ''}`;
  const place = evidence?.producer;
  const from =
    place === undefined
      ? ''
      : `\n  began in field ${place.field} of ${place.topic.startsWith('caller ') ? 'the requests of' : 'topic'} ${place.topic}${place.firstOffset === null ? '' : `, partition ${place.partition}, offset ${place.firstOffset}`}`;
  const began = evidence?.beganAt ?? place?.firstAt;
  const when = `since ${timeText(Math.min(began ?? openedAt, openedAt))}`;
  const done = evidence?.action === undefined ? '' : `\n  done: ${evidence.action}`;
  return `${severity} ${state} ${model || 'the platform'}: ${title}\n  ${when}; ${loss}; ${id}${from}${done}`;
}

const timeText = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

function describeSilence({ id, cause, until, reason, actor }: Silence): string {
  return `nothing is sent about ${cause === '' ? 'any cause' : cause} until ${timeText(until)}: ${reason}; by ${actor || 'somebody without a key'}; ${id}`;
}
