import type { CommandContext, GlobalOptions } from './command-context.ts';
import { CommandError } from './command-error.ts';

/** Asks a person on a terminal; elsewhere `--yes` must have said so. Throws CommandError when it is not wanted. */
export async function confirmed(
  context: CommandContext,
  options: GlobalOptions & { readonly yes?: boolean },
  question: string,
): Promise<void> {
  if (options.yes) return;
  if (!context.terminal.err.isTTY || options.json)
    throw new CommandError(`${question} This needs --yes where no terminal is attached`);
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message: question, initialValue: false, output: context.terminal.err });
  if (isCancel(answer) || !answer) throw new CommandError('nothing was done');
}
