import type { Command } from 'commander';
import { type CommandContext, frontDoorClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface EventsReply {
  readonly accepted: number;
  readonly refused: readonly { readonly index: number; readonly detail: string }[];
}

/** Events of one call; the front door takes 10,000. */
const AT_ONCE = 5000;

/** `hotloop events push`. */
export function addEventCommands(program: Command, context: CommandContext): void {
  const events = program.command('events').description('what happens to entities');
  events
    .command('push')
    .description('send events (CloudEvents, one JSON document a line) into history and archive')
    .argument('<file>', '- is standard input')
    .addHelpText(
      'after',
      `\nExample line:\n  {"specversion": "1.0", "id": "1", "source": "/shop", "type": "view",\n   "time": "2026-01-15T12:00:00Z", "data": {"entity": {"user": "u1"}, "price": 12.5}}`,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const client = frontDoorClient(options, context.signal);
      const lines = numberedLines((await context.readFile(file)).toString('utf8'));
      let accepted = 0;
      const refused: { line: number; detail: string }[] = [];
      for (let from = 0; from < lines.length; from += AT_ONCE) {
        const batch = lines.slice(from, from + AT_ONCE);
        const reply = await client.post<EventsReply>(
          '/v1/events',
          batch.map(({ text, line }) => parseLine(text, line)),
        );
        accepted += reply.accepted;
        for (const { index, detail } of reply.refused)
          refused.push({ line: batch[index]?.line ?? 0, detail });
      }
      present(context, options, { accepted, refused }, () =>
        [`${accepted} events taken in`, ...refused.map(({ line, detail }) => `line ${line}: ${detail}`)].join(
          '\n',
        ),
      );
    });
}

function numberedLines(text: string): { text: string; line: number }[] {
  return text
    .split('\n')
    .map((line, index) => ({ text: line.trim(), line: index + 1 }))
    .filter(({ text: line }) => line !== '');
}

function parseLine(text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`line ${line} is not JSON`, { cause });
  }
}
