import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SessionFileError } from '@hotloop/example-shoppers/shopper-session.ts';
import { Command, InvalidArgumentError } from 'commander';
import { takeInterruption } from '../local/interruption.ts';
import { backingAddresses, serviceEnvironment } from '../local/local-environment.ts';
import { terminalMessage } from '../local/terminal-message.ts';
import { runDemo } from './run-demo.ts';
import { shoppersStory } from './shoppers-story.ts';
import { storefrontStory } from './storefront-story.ts';
import type { Story } from './story.ts';

const STATE = fileURLToPath(new URL('../../../.hotloop', import.meta.url));
const INTERRUPTED = 130;

interface Flags {
  readonly once: boolean;
  readonly json: boolean;
  readonly single: boolean;
  readonly data?: string;
  readonly seed: number;
  readonly rate: number;
  readonly folder: string;
  readonly freePorts: boolean;
}

const say = (line: string) => process.stderr.write(`hotloop: ${line}\n`);

function wholeNumber(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`must be a whole number, ${least} or more`);
    return value;
  };
}

function readFlags(): Flags {
  return new Command('npm start --')
    .description('Runs the whole loop on this machine, with a demonstration, until Ctrl-C.')
    .option('--once', 'close the loop once, stop, and tell whether all went well', false)
    .option('--json', 'the last line on stdout is the result as JSON', false)
    .option('--single', 'all four services in one process', false)
    .option('--data <file>', 'a CSV of real sessions instead of the built-in shop')
    .option('--seed <number>', 'what the built-in shop and the first training follow from', wholeNumber(0), 1)
    .option('--rate <number>', 'predictions per second', wholeNumber(1), 250)
    .option('--folder <path>', 'where it keeps its files while it runs', join(STATE, 'demo'))
    .option('--free-ports', 'any free ports instead of the usual ones, to run several at once', false)
    .parse()
    .opts<Flags>();
}

async function chooseStory({ data, seed }: Flags): Promise<Story> {
  if (data === undefined) return storefrontStory(seed);
  const csv = await readFile(data, 'utf8').catch(() => {
    throw new SessionFileError('it is not there, or cannot be read');
  });
  return shoppersStory(csv, seed);
}

async function main(): Promise<number> {
  const startedAt = performance.now() - process.uptime() * 1000;
  const flags = readFlags();
  let story: Story;
  try {
    story = await chooseStory(flags);
  } catch (error) {
    if (!(error instanceof SessionFileError)) throw error;
    say(`${flags.data}: ${error.message}`);
    return 2;
  }
  using interruption = takeInterruption({
    first: () => say('stopping; Ctrl-C again to stop at once'),
    force: () => process.exit(INTERRUPTED),
  });
  const { signal } = interruption;
  try {
    const result = await runDemo(
      {
        story,
        once: flags.once,
        single: flags.single,
        perSecond: flags.rate,
        folder: flags.folder,
        freePorts: flags.freePorts,
        cacheDir: join(STATE, 'cache'),
        addresses: backingAddresses(process.env),
        environment: serviceEnvironment(process.env),
        apiKey: process.env.HOTLOOP_API_KEY,
        talk: process.stderr,
        startedAt,
      },
      signal,
    );
    if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (result.reason !== undefined && !signal.aborted) say(`not ok: ${result.reason}`);
    return result.ok || (signal.aborted && !flags.once) ? 0 : 1;
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    say(terminalMessage(error));
    return 1;
  }
}

process.exitCode = await main();
