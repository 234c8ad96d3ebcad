import { readFileSync } from 'node:fs';
import type { TlsOptions } from '@hotloop/client';
import type { HotloopClient } from '@hotloop/client/hotloop-client.ts';
import { ControlClient, DEFAULT_CONTROL_URL } from './control-client.ts';
import { columnsOf, type Table, type Terminal, tableWithin } from './terminal.ts';

const DEFAULT_FRONT_DOOR_URL = 'http://127.0.0.1:7480';

/** Options every command takes. */
export interface GlobalOptions {
  readonly address?: string;
  readonly retrainer?: string;
  readonly control?: string;
  readonly frontDoor?: string;
  readonly apiKey?: string;
  readonly timeout?: number;
  readonly json?: boolean;
  /** Files in PEM: what signs the services' certificates; with the others, one's own certificate. */
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** What `hotloop up` takes. */
export interface UpOptions {
  readonly single: boolean;
  readonly portBase?: string;
  readonly listen?: string;
  readonly dir?: string;
  readonly archive?: string;
}

/** The words that may follow each command, the program itself under the empty name. */
export type CommandTree = Readonly<Record<string, readonly string[]>>;

/** What a command is given: where to write, how to reach Hotloop, and when to stop. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Reads a file named on the command line; `-` is standard input. */
  readFile(path: string): Promise<Buffer>;
  /** Starts Hotloop on this machine and resolves with the exit code when it has stopped. */
  up(options: UpOptions): Promise<number>;
  /** For commands that work on the stores directly: where those are. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Ends the program with this exit code after a result that was printed. */
  fail?(exitCode: number): void;
  /** Of the command itself. */
  readonly version?: string;
  /** The configuration file of the command. */
  readonly configPath?: string;
  /** What may be typed, for completion. */
  commandTree?(): Promise<CommandTree>;
}

/** Runs a command's body with a client of its own, closed when the body ends. */
export async function withClient<T>(
  options: GlobalOptions,
  use: (client: HotloopClient) => Promise<T>,
): Promise<T> {
  // The client loads gRPC, which takes longer than everything else that a command loads.
  const { HotloopClient: Client } = await import('@hotloop/client/hotloop-client.ts');
  await using client = new Client({
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.retrainer === undefined ? {} : { retrainerAddress: options.retrainer }),
    ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...tlsOptions(options),
  });
  return await use(client);
}

function tlsOptions({ tlsCa, tlsCert, tlsKey }: GlobalOptions): { readonly tls?: TlsOptions } {
  if (tlsCa === undefined && tlsCert === undefined) return {};
  return {
    tls: {
      ...(tlsCa === undefined ? {} : { rootCertificates: readFileSync(tlsCa) }),
      ...(tlsCert === undefined ? {} : { certificate: readFileSync(tlsCert) }),
      ...(tlsKey === undefined ? {} : { privateKey: readFileSync(tlsKey) }),
    },
  };
}

/** Where certificates are named, the services answer over HTTPS. */
function defaultUrl({ tlsCa, tlsCert }: GlobalOptions, url: string): string {
  return tlsCa === undefined && tlsCert === undefined ? url : url.replace('http:', 'https:');
}

/** The control API of the retrainer, as the options say. */
export function controlClient(options: GlobalOptions, signal: AbortSignal): ControlClient {
  const encrypted = tlsOptions(options);
  return new ControlClient({
    url: options.control ?? defaultUrl(options, DEFAULT_CONTROL_URL),
    signal,
    ...encrypted,
    ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
  });
}

/** The front door over HTTP, as the options say: events and reference tables. */
export function frontDoorClient(options: GlobalOptions, signal: AbortSignal): ControlClient {
  return controlClient(
    { ...options, control: options.frontDoor ?? defaultUrl(options, DEFAULT_FRONT_DOOR_URL) },
    signal,
  );
}

/** Writes a result: one line of JSON for programs, or text for a person, whose tables fit the terminal. */
export function present(
  context: CommandContext,
  options: GlobalOptions,
  value: unknown,
  text: (table: Table) => string,
): void {
  const { terminal } = context;
  terminal.out.write(`${options.json ? JSON.stringify(value) : text(tableWithin(columnsOf(terminal)))}\n`);
}
