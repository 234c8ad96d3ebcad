import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandError } from './command-error.ts';

/** Where one Hotloop is, under a name. */
export interface NamedContext {
  readonly address?: string;
  readonly retrainer?: string;
  readonly control?: string;
  readonly frontDoor?: string;
  readonly apiKey?: string;
}

/** The configuration file of the command. */
export interface ConfigFile {
  /** The context that is used where none is named. */
  readonly context?: string;
  readonly contexts: Readonly<Record<string, NamedContext>>;
}

/** Fields of a context as they are written in the file, with the option that each stands for. */
export const CONTEXT_FIELDS = {
  address: 'address',
  retrainer: 'retrainer',
  control: 'control',
  front_door: 'frontDoor',
  api_key: 'apiKey',
} as const satisfies Record<string, keyof NamedContext>;

/** Reads the file; an absent one is empty. Throws CommandError for one that cannot be understood, naming the place. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { contexts: {} };
    throw new CommandError(`${path} cannot be read`, { cause: error });
  }
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new CommandError(`${path}: ${error instanceof Error ? error.message : 'not YAML'}`);
  }
  return configOf(content ?? {}, path);
}

/** Writes the file whole, readable by its owner alone: it may hold keys. */
export async function writeConfigFile(path: string, config: ConfigFile): Promise<void> {
  const { stringify } = await import('yaml');
  const contexts = Object.fromEntries(
    Object.entries(config.contexts).map(([name, context]) => [
      name,
      Object.fromEntries(
        Object.entries(CONTEXT_FIELDS).flatMap(([field, option]) =>
          context[option] === undefined ? [] : [[field, context[option]]],
        ),
      ),
    ]),
  );
  await mkdir(dirname(path), { recursive: true });
  const content = { ...(config.context === undefined ? {} : { context: config.context }), contexts };
  await writeFile(`${path}.new`, stringify(content), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The context named, else the one that the file names; nothing where neither is. Throws CommandError for an unknown name. */
export function chosenContext(config: ConfigFile, name: string | undefined, path: string): NamedContext {
  const wanted = name ?? config.context;
  if (wanted === undefined) return {};
  if (Object.hasOwn(config.contexts, wanted)) return config.contexts[wanted] ?? {};
  const known = Object.keys(config.contexts);
  throw new CommandError(
    `${path} has no context ${JSON.stringify(wanted)}; ${known.length === 0 ? 'it has none yet' : `it has ${known.join(', ')}`}`,
  );
}

function configOf(content: unknown, path: string): ConfigFile {
  if (!isRecord(content)) throw new CommandError(`${path}: must hold contexts`);
  const { context, contexts = {} } = content;
  if (context !== undefined && typeof context !== 'string')
    throw new CommandError(`${path}: context must be a name`);
  if (!isRecord(contexts)) throw new CommandError(`${path}: contexts must be a list of names`);
  const named = Object.entries(contexts).map(
    ([name, fields]) => [name, contextOf(fields ?? {}, path, name)] as const,
  );
  return { ...(context === undefined ? {} : { context }), contexts: Object.fromEntries(named) };
}

function contextOf(fields: unknown, path: string, name: string): NamedContext {
  if (!isRecord(fields)) throw new CommandError(`${path}: contexts.${name} must hold addresses`);
  const known = Object.entries(fields).map(([field, value]) => {
    const option = Object.hasOwn(CONTEXT_FIELDS, field)
      ? CONTEXT_FIELDS[field as keyof typeof CONTEXT_FIELDS]
      : undefined;
    if (option === undefined || typeof value !== 'string')
      throw new CommandError(
        `${path}: contexts.${name}.${field} is not one of ${Object.keys(CONTEXT_FIELDS).join(', ')}, or no text`,
      );
    return [option, value] as const;
  });
  return Object.fromEntries(known);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
