import { CommandError } from './command-error.ts';
import { commandReference } from './command-reference.ts';

/** Prints the reference of all commands as Markdown, for the documentation. */
const text = await commandReference({
  terminal: { out: process.stdout, err: process.stderr },
  signal: new AbortController().signal,
  readFile: async () => Promise.reject(new CommandError('no command is run')),
  up: async () => Promise.reject(new CommandError('no command is run')),
});
process.stdout.write(`${text}\n`);
