import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { COMMAND_GROUPS } from './commands/commands.ts';
import { buildProgram } from './run-command-line.ts';

/** Every command, its arguments and options, as Markdown. */
export async function commandReference(context: CommandContext): Promise<string> {
  const program = await buildProgram(COMMAND_GROUPS, context);
  const lines = [
    '# Commands and options',
    '',
    'Written from the command itself. Options of every command:',
    '',
  ];
  lines.push(...optionRows(program), '');
  for (const command of program.commands) lines.push(...describe(command, 'hotloop', 2));
  return lines.join('\n');
}

function describe(command: Command, parent: string, depth: number): string[] {
  const name = `${parent} ${command.name()}`;
  const usage = command.registeredArguments.map(({ name: argument, required, variadic }) => {
    const shown = `${argument}${variadic ? '...' : ''}`;
    return required ? `<${shown}>` : `[${shown}]`;
  });
  return [
    `${'#'.repeat(Math.min(depth, 4))} ${name}`,
    '',
    `${cell(command.description())}.`,
    '',
    ...(command.commands.length === 0 ? ['```', [name, ...usage].join(' '), '```', ''] : []),
    ...(command.options.length === 0 ? [] : [...optionRows(command), '']),
    ...command.commands.flatMap((inner) => describe(inner, name, depth + 1)),
  ];
}

function optionRows(command: Command): string[] {
  return [
    '| option | meaning |',
    '|---|---|',
    ...command.options.map(({ flags, description }) => `| \`${cell(flags)}\` | ${cell(description)} |`),
  ];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
