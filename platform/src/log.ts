import { type DestinationStream, destination, pino, stdSerializers } from 'pino';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields of a line in addition to its message: ids first (predictionId, requestId); `error` for a thrown value. */
export type LogFields = Readonly<Record<string, unknown>>;

type Write = {
  (fields: LogFields, text: string): void;
  (text: string): void;
};

/** A log of JSON lines. Writing never throws and never waits. */
export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** The same log with additional fields on every line. */
  child(fields: LogFields): Log;
}

/** Field names whose values are never logged, at the top level of a line and one level below. */
const SECRETS = ['password', 'secret', 'token', 'apiKey', 'authorization', 'url', 'connectionString'];

export interface LogOptions {
  readonly service: string;
  readonly level: LogLevel;
}

/** A log on stderr (stdout belongs to the service's own protocol), or on the given stream. */
export function createLog(options: LogOptions, stream?: DestinationStream): Log {
  return pino(
    {
      level: options.level,
      base: { service: options.service, pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
      errorKey: 'error',
      serializers: {
        error: (error: unknown) => withoutArguments(stdSerializers.errWithCause(error as Error)),
      },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' },
    },
    stream ?? destination({ dest: 2, sync: true }),
  );
}

/**
 * Redis' client includes the failed command in its errors with all arguments: values of callers, or the password of
 * AUTH.
 */
function withoutArguments(serialized: unknown): unknown {
  if (typeof serialized !== 'object' || serialized === null) return serialized;
  if ('command' in serialized) serialized.command = commandName(serialized.command);
  if ('cause' in serialized) withoutArguments(serialized.cause);
  if ('aggregateErrors' in serialized && Array.isArray(serialized.aggregateErrors))
    for (const one of serialized.aggregateErrors) withoutArguments(one);
  return serialized;
}

function commandName(command: unknown): unknown {
  return typeof command === 'object' && command !== null && 'name' in command ? command.name : undefined;
}

/** A log that discards everything, for tests and for libraries without a log. */
export function silentLog(): Log {
  return createLog({ service: 'silent', level: 'silent' });
}
