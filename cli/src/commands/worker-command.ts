import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

const MAINS = {
  training: '../../../retrainer/src/runs/worker-main.ts',
  batch: '../../../retrainer/src/batch/worker-main.ts',
} as const;

interface WorkerOptions extends GlobalOptions {
  readonly training?: boolean;
  readonly batch?: boolean;
  readonly exitWhenIdle?: boolean;
}

/** `hotloop worker`: works on training runs or batches, apart from the control API. */
export function addWorkerCommand(program: Command, context: CommandContext): void {
  program
    .command('worker')
    .description('work on training runs (or batches) apart from the control API')
    .option('--training', 'training runs and trials of searches (the default)')
    .option('--batch', 'parts of batches')
    .option('--exit-when-idle', 'end when no training run waits or works: for jobs of a cluster')
    .addHelpText(
      'after',
      '\nReads DATABASE_URL, REDIS_QUEUE_URL and HOTLOOP_STORE, as the services do; batches also HOTLOOP_BATCH_FILES.' +
        '\nExample: HOTLOOP_TRAINERS=./trainers hotloop worker --training --exit-when-idle',
    )
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<WorkerOptions>();
      if (options.batch && options.exitWhenIdle)
        throw new CommandError('--exit-when-idle is for training; batches end by themselves');
      const main = fileURLToPath(new URL(MAINS[options.batch ? 'batch' : 'training'], import.meta.url));
      const environment = {
        ...context.environment,
        ...(options.exitWhenIdle ? { HOTLOOP_WORKER_EXIT_WHEN_IDLE: 'true' } : {}),
      };
      const child = spawn(process.execPath, [main], { env: environment, stdio: 'inherit' });
      const stop = () => child.kill('SIGTERM');
      context.signal.addEventListener('abort', stop, { once: true });
      const [code] = (await once(child, 'exit')) as [number | null];
      context.signal.removeEventListener('abort', stop);
      if (code !== 0 && !context.signal.aborted) context.fail?.(code ?? 1);
    });
}
