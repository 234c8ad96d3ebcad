import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../command-context.ts';
import { COMMAND_GROUPS } from './commands.ts';

const context = { terminal: process, signal: new AbortController().signal } as unknown as CommandContext;

describe('the groups of commands', () => {
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
