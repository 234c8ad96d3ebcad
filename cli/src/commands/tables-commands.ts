import type { Command } from 'commander';
import { parse } from 'yaml';
import { type CommandContext, frontDoorClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { progressLine } from '../terminal.ts';

interface Uploaded {
  readonly table: string;
  readonly version: number;
  readonly rows: number;
  readonly refused: number;
  readonly refused_rows: readonly { readonly line: number; readonly problem: string }[];
}

interface Listed {
  readonly tables: readonly {
    readonly name: string;
    readonly version: number | null;
    readonly rows: number;
    readonly uploaded_at: string | null;
  }[];
}

const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  jsonl: 'application/x-ndjson',
  ndjson: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
};
const CHUNK_BYTES = 64 * 1024;

/** `hotloop tables list`, `declare` and `push`. */
export function addTableCommands(program: Command, context: CommandContext): void {
  const tables = program.command('tables').description('reference tables that features look into');
  tables
    .command('list')
    .description('the tables and their versions')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const listed = await frontDoorClient(options, context.signal).get<Listed>('/v1/tables');
      present(context, options, listed, () =>
        listed.tables.length === 0
          ? 'no tables yet; declare one with: hotloop tables declare NAME SCHEMA'
          : listed.tables.map((table) => rowOf(table)).join('\n'),
      );
    });
  tables
    .command('declare')
    .description('say what the rows of a table must be like')
    .argument('<name>')
    .argument('<schema>', 'YAML or JSON file: key, and columns with type, range, allowed, optional')
    .addHelpText(
      'after',
      '\nExample schema:\n  key: customer\n  columns:\n    segment: {type: text, allowed: [new, loyal]}\n    age: {type: number, range: [0, 150], optional: true}',
    )
    .action(async (name: string, schema: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const document: unknown = parse((await context.readFile(schema)).toString('utf8'));
      const client = frontDoorClient(options, context.signal);
      const declared = await client.put<{ table: string }>(
        `/v1/tables/${encodeURIComponent(name)}`,
        document,
      );
      present(context, options, declared, () => `table ${declared.table} is declared`);
    });
  tables
    .command('push')
    .description('upload a file, verified row by row, as the new version of a table')
    .argument('<name>')
    .argument('<file>', 'CSV with a header, JSON lines or Parquet, by its file extension')
    .option('--max-refused <rows>', 'rows that may be refused before the upload is', '0')
    .addHelpText('after', '\nExample:\n  hotloop tables push customers customers.csv')
    .action(async (name: string, file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { readonly maxRefused: string }>();
      const type = TYPES[file.split('.').at(-1)?.toLowerCase() ?? ''];
      if (!type)
        throw new CommandError(
          `${file} must end in ${Object.keys(TYPES)
            .map((ending) => `.${ending}`)
            .join(', ')}`,
        );
      const bytes = await context.readFile(file);
      using progress = progressLine(context.terminal);
      const sent = streamOf(bytes, (fraction) => progress.update(`uploading ${file}`, fraction));
      const path = `/v1/tables/${encodeURIComponent(name)}/versions`;
      const result = await frontDoorClient(options, context.signal).upload<Uploaded>(path, sent, type, {
        max_refused: options.maxRefused,
      });
      progress[Symbol.dispose]();
      present(context, options, result, () =>
        [
          `table ${result.table} version ${result.version}: ${result.rows} rows, ${result.refused} refused`,
          ...result.refused_rows.map(({ line, problem }) => `line ${line}: ${problem}`),
        ].join('\n'),
      );
    });
}

function rowOf({ name, version, rows, uploaded_at }: Listed['tables'][number]): string {
  const state = version === null ? 'nothing uploaded' : `version ${version}  ${rows} rows  ${uploaded_at}`;
  return `${name.padEnd(24)}  ${state}`;
}

/** Hands the bytes on as they are taken, and tells how far it is. */
function streamOf(bytes: Uint8Array, told: (fraction: number) => void): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at + CHUNK_BYTES));
      at += CHUNK_BYTES;
      told(Math.min(1, at / Math.max(1, bytes.length)));
      if (at >= bytes.length) controller.close();
    },
  });
}
