import { durationMs } from '@hotloop/model/manifest/duration.ts';
import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import type { Table } from '../terminal.ts';

interface Estimate {
  readonly value: number;
  readonly interval: { readonly low: number; readonly high: number };
}

interface ReplayShown {
  readonly model: string;
  readonly candidate: number;
  readonly live: number;
  readonly requests: number;
  readonly changed: number;
  readonly value: {
    readonly logged: Estimate;
    readonly ips: Estimate;
    readonly snips: Estimate;
    readonly doublyRobust: Estimate;
    readonly effectiveSamples: number;
  } | null;
  readonly compared: {
    readonly metric: string;
    readonly labelled: number;
    readonly candidate: number;
    readonly against: number;
    readonly interval: { readonly low: number; readonly high: number };
  } | null;
  readonly split: readonly {
    readonly version: number;
    readonly answered: number;
    readonly value: { readonly ips: Estimate; readonly snips: Estimate; readonly doublyRobust: Estimate };
  }[];
  readonly warnings: readonly string[];
}

/** A time in RFC 3339, or a length of time before now. */
function timeOf(text: string): string {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) return new Date(Date.now() - durationMs(text)).toISOString();
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError('must be a time such as 2026-05-01T00:00:00Z, or 7d');
  return new Date(at).toISOString();
}

/** `hotloop replay`: off-policy evaluation. */
export function addReplayCommand(program: Command, context: CommandContext): void {
  program
    .command('replay')
    .description('what a version would have shown for logged requests, and its value')
    .argument('<model>')
    .requiredOption('--candidate <version>', 'the version to try', Number)
    .option('--since <time>', 'a time, or how long ago', timeOf, timeOf('7d'))
    .addHelpText('after', '\nExample: hotloop replay product-ranker --candidate 3 --since 24h')
    .action(async (model: string, _options: unknown, command: Command) => {
      const { candidate, since, ...options } = command.optsWithGlobals<
        GlobalOptions & { candidate: number; since: string }
      >();
      const found = await controlClient({ timeout: 600_000, ...options }, context.signal).post<ReplayShown>(
        `/v1/models/${encodeURIComponent(model)}/replay`,
        { candidate, since },
      );
      present(context, options, found, (table) => describe(found, table));
    });
}

const number = (value: number): string => String(Number(value.toPrecision(4)));

function describe(found: ReplayShown, table: Table): string {
  const { value, compared, split, warnings } = found;
  const estimate = (name: string, { value: mean, interval }: Estimate) => [
    ...[name, number(mean), `${number(interval.low)} to ${number(interval.high)}`],
  ];
  return [
    `${found.requests} logged requests through version ${found.candidate}: ${(found.changed * 100).toFixed(1)} % change (live is ${found.live})`,
    ...(value === null
      ? []
      : [
          table(
            ['value of a request', '', '95 % interval'],
            [
              estimate('as it happened', value.logged),
              estimate('IPS', value.ips),
              estimate('SNIPS', value.snips),
              estimate('doubly robust', value.doublyRobust),
            ],
          ),
          `rests on ${number(value.effectiveSamples)} effective requests`,
        ]),
    ...(compared === null
      ? []
      : [
          `${compared.metric} ${number(compared.candidate)} against ${number(compared.against)} live on ${compared.labelled} labelled requests; ` +
            `better by ${number(compared.interval.low)} to ${number(compared.interval.high)}`,
        ]),
    ...(split.length === 0
      ? []
      : [
          table(
            ['in splits', 'answers', 'quality', '95 % interval', 'SNIPS', 'doubly robust'],
            split.map((one) => [
              ...[`version ${one.version}`, one.answered, number(one.value.ips.value)],
              `${number(one.value.ips.interval.low)} to ${number(one.value.ips.interval.high)}`,
              ...[number(one.value.snips.value), number(one.value.doublyRobust.value)],
            ]),
          ),
        ]),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}
