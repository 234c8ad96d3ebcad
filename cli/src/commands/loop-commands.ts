import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import type { Run } from '@hotloop/client/runs.ts';
import type { Story } from '@hotloop/client/story.ts';
import type { Command } from 'commander';
import {
  type CommandContext,
  controlClient,
  type GlobalOptions,
  present,
  type UpOptions,
  withClient,
} from '../command-context.ts';
import { progressLine } from '../terminal.ts';

interface RetrainCommandOptions extends GlobalOptions {
  readonly reason?: string;
  readonly hold?: boolean;
  readonly detach?: boolean;
  readonly whyNot?: boolean;
}

/** `hotloop up`, `hotloop retrain` and `hotloop trace`. */
export function addLoopCommands(program: Command, context: CommandContext): void {
  program
    .command('up')
    .description('run Hotloop on this machine until Ctrl-C')
    .option('--single', 'all four services in one process')
    .option('--port-base <port>', 'listen on the ports from this one on instead of the usual ones')
    .option('--listen <host>', 'where clients reach it; other than 127.0.0.1 needs HOTLOOP_API_KEYS')
    .option('--dir <folder>', 'where everything is kept (default: .hotloop)')
    .option(
      '--archive <folder>',
      'keep there what `hotloop restore FOLDER --at TIME` needs, for a week (default: nowhere)',
    )
    .action(async (options: Partial<UpOptions>) => {
      await context.up({ ...options, single: options.single ?? false });
    });
  program
    .command('retrain')
    .description('learn the next version from the labels so far')
    .argument('<model>')
    .option('--reason <text>', 'kept with the run')
    .option('--hold', 'register the version, but do not make it live')
    .option('-d, --detach', 'do not wait for the end')
    .option('--why-not', 'say why no run has started by itself, and start none')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<RetrainCommandOptions>();
      if (options.whyNot) return explain(context, options, model);
      await withClient(options, async (client) => {
        const reason = options.reason === undefined ? {} : { reason: options.reason };
        const started = await client.retrain(model, {
          ...reason,
          hold: options.hold ?? false,
          signal: context.signal,
        });
        if (options.detach) return present(context, options, started, () => `run ${started.runId}`);
        let last: Run | undefined;
        {
          using progress = progressLine(context.terminal);
          for await (const run of client.runs.watch(started.runId, { signal: context.signal })) {
            last = run;
            const fraction = run.state === 'training' ? [run.progress] : [];
            progress.update(`${run.state}${run.message === '' ? '' : `: ${run.message}`}`, ...fraction);
          }
        }
        if (!last)
          throw new HotloopClientError('INTERNAL', `the service said nothing of run ${started.runId}`);
        const ended = last;
        const gate = await gateOf(context, options, ended.runId);
        present(context, options, ended, () => describeRun(ended, gate));
        if (ended.state !== 'succeeded')
          throw new HotloopClientError('FAILED_PRECONDITION', `the run was ${ended.state}: ${ended.message}`);
      });
    });
  program
    .command('trace')
    .description('what became of one prediction')
    .argument('<prediction-id>')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const story = await withClient(options, (client) => client.trace(id, { signal: context.signal }));
      present(context, options, story, () => describeStory(story));
    });
}

interface WhyNot {
  readonly due: boolean;
  readonly reasons: readonly string[];
}

async function explain(context: CommandContext, options: GlobalOptions, model: string): Promise<void> {
  const path = `/v1/models/${encodeURIComponent(model)}/why-not-retrained`;
  const answer = await controlClient(options, context.signal).get<WhyNot>(path);
  present(context, options, answer, () =>
    [
      answer.due ? 'a run is due, and will be asked for at the next look' : 'no run is due',
      ...answer.reasons,
    ].join('\n'),
  );
}

/** The table of the run's gate; null without one, or where the control API cannot be reached. */
async function gateOf(
  context: CommandContext,
  options: GlobalOptions,
  runId: string,
): Promise<string | null> {
  if (options.json) return null;
  const run = await controlClient(options, context.signal)
    .get<{ gateTable: string | null }>(`/v1/runs/${runId}`)
    .catch(() => null);
  return run?.gateTable ?? null;
}

function describeRun(run: Run, gate: string | null): string {
  const metrics = Object.entries(run.metrics).map(
    ([name, value]) => `  ${name.padEnd(18)}${value.toFixed(4)}`,
  );
  const made = run.version === 0 ? 'no version' : `version ${run.version}`;
  return [
    `${run.model}: ${run.state}, ${made} from version ${run.parentVersion || 'none'}, ${run.examples} examples`,
    ...metrics,
    ...(gate === null ? (run.message === '' ? [] : [run.message]) : [gate]),
  ].join('\n');
}

function describeStory(story: Story): string {
  const lines = story.steps.map((step) => {
    const details = Object.entries(step.attributes)
      .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(',') : value}`)
      .join(' ');
    const head = `${step.at}  ${step.kind.padEnd(10)} ${step.service.padEnd(14)} ${step.summary}`;
    return details === '' ? head : `${head}\n${' '.repeat(26)}${details}`;
  });
  return [`prediction ${story.predictionId}`, ...lines].join('\n');
}
