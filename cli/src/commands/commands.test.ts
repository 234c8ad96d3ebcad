import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../command-context.ts';
import { buildProgram } from '../run-command-line.ts';
import { COMMAND_EXAMPLES } from './command-examples.ts';
import { COMMAND_GROUPS } from './commands.ts';

const context = { terminal: process, signal: new AbortController().signal } as unknown as CommandContext;

describe('the groups of commands', () => {
  it('have an example for every command in its help, with existing options only', async () => {
    const program = await buildProgram(COMMAND_GROUPS, context);
    const without: string[] = [];
    const typed = new Set<string>();
    const visit = (command: Command, words: string): void => {
      typed.add(words);
      for (const inner of command.commands) visit(inner, `${words} ${inner.name()}`);
      if (command.commands.length > 0) return;
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      if (!/Examples?:/.test(help)) without.push(words);
    };
    for (const command of program.commands) visit(command, command.name());
    expect(without).toEqual([]);
    expect(Object.keys(COMMAND_EXAMPLES).filter((words) => !typed.has(words))).toEqual([]);
  });

  it('name every command once', () => {
    const names = COMMAND_GROUPS.flatMap((group) => Object.keys(group.commands));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it.each(COMMAND_GROUPS.map((group) => [Object.keys(group.commands).join(', '), group] as const))(
    'say of %s what the files say',
    async (_names, group) => {
      const program = new Command();
      for (const add of await group.load()) add(program, context);
      const found = program.commands.map((command) => [command.name(), command.description()]);
      expect(Object.fromEntries(found)).toEqual(group.commands);
    },
  );
});
