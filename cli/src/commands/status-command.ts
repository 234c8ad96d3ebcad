import type { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import type { Table } from '../terminal.ts';

interface Status {
  readonly at: string;
  readonly models: readonly ModelStatus[];
  readonly nodes: readonly {
    readonly node: string;
    readonly alive: boolean;
    readonly versions: number;
    readonly memoryBytes: number;
    readonly seenSecondsAgo: number;
  }[];
  readonly rollouts: readonly {
    readonly rolloutId: string;
    readonly model: string;
    readonly version: number;
    readonly state: string;
    readonly message: string;
    readonly sharePercent: number;
  }[];
  readonly runs: readonly {
    readonly model: string;
    readonly state: string;
    readonly message: string;
    readonly version: number | null;
  }[];
  readonly logLagSeconds: number | null;
  readonly alarms?: readonly { readonly name?: string; readonly message?: string }[] | null;
  readonly unread: Readonly<Record<string, string>>;
}

interface ModelStatus {
  readonly name: string;
  readonly liveVersion: number;
  readonly previousVersion: number;
  readonly versions: number;
  readonly loaded: readonly {
    readonly version: number;
    readonly nodes: readonly {
      readonly node: string;
      readonly state: string;
      readonly memoryBytes: number;
    }[];
  }[];
  readonly loop: Readonly<Record<string, unknown>>;
}

/** `hotloop status`: the first page that an operator reads. */
export function addStatusCommand(program: Command, context: CommandContext): void {
  program
    .command('status')
    .description('models, versions, memory, rollouts, runs and alarms at a glance')
    .addHelpText('after', '\nExample:\n  hotloop status --json | jq .nodes')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const status = await controlClient(options, context.signal).get<Status>('/v1/status');
      present(context, options, status, (table) => describe(status, table));
    });
}

function describe(status: Status, table: Table): string {
  const parts = [
    models(status, table),
    loaded(status, table),
    nodes(status, table),
    rollouts(status),
    runs(status, table),
    rest(status),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function models({ models }: Status, table: Table): string {
  if (models.length === 0) return 'no models yet; `hotloop model push DIR` registers one';
  const count = (model: ModelStatus, name: string) => {
    const value = model.loop[name];
    return typeof value === 'number' ? value : '-';
  };
  return table(
    ['model', 'live', 'previous', 'versions', 'logged', 'outcomes', 'unmatched', 'dead'],
    models.map((model) => [
      model.name,
      model.liveVersion || '-',
      model.previousVersion || '-',
      model.versions,
      count(model, 'predictionsLogged'),
      count(model, 'outcomes'),
      count(model, 'outcomesUnmatched'),
      count(model, 'messagesSetAside'),
    ]),
  );
}

function loaded({ models }: Status, table: Table): string {
  const rows = models.flatMap((model) =>
    model.loaded.flatMap(({ version, nodes }) =>
      nodes
        .filter(({ state }) => state !== 'gone')
        .map(({ node, state, memoryBytes }) => [model.name, version, node, state, megabytes(memoryBytes)]),
    ),
  );
  return rows.length === 0 ? '' : table(['loaded', 'version', 'node', 'state', 'MB'], rows);
}

function nodes({ nodes }: Status, table: Table): string {
  if (nodes.length === 0) return 'no compute node has reported yet';
  return table(
    ['node', 'state', 'versions', 'MB'],
    nodes.map(({ node, alive, versions, memoryBytes, seenSecondsAgo }) => [
      node,
      alive ? 'alive' : `not seen for ${seenSecondsAgo} s`,
      versions,
      megabytes(memoryBytes),
    ]),
  );
}

function rollouts({ rollouts }: Status): string {
  return rollouts
    .map(
      ({ model, version, state, sharePercent, message, rolloutId }) =>
        `rollout of ${model} ${version}: ${state}, ${Math.round(sharePercent)} % (${rolloutId})\n  ${message}`,
    )
    .join('\n');
}

function runs({ runs }: Status, table: Table): string {
  if (runs.length === 0) return '';
  return table(
    ['run of', 'state', 'version', 'message'],
    runs.map(({ model, state, version, message }) => [model, state, version ?? '-', message]),
  );
}

function rest({ models, logLagSeconds, alarms, unread }: Status): string {
  const lines = [
    ...models.flatMap(sqlProblems),
    logLagSeconds === null
      ? 'the prediction log is empty'
      : `newest logged prediction: ${logLagSeconds.toFixed(1)} s ago`,
    ...(alarms ?? []).map((alarm) => `alarm: ${alarm.message ?? alarm.name ?? ''}`),
    ...Object.entries(unread).map(([name, why]) => `${name} could not be read: ${why}`),
  ];
  return lines.join('\n');
}

/** What an operator must know of outcomes that are read by SQL. */
function sqlProblems({ name, loop }: ModelStatus): string[] {
  const source = loop.sqlSource as
    | { error?: string; refused?: number; problems?: string[] }
    | null
    | undefined;
  if (!source) return [];
  if (source.error) return [`outcomes of ${name} by SQL: ${source.error}`];
  return source.refused
    ? [`outcomes of ${name} by SQL: ${source.refused} rows refused; ${source.problems?.[0] ?? ''}`]
    : [];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
