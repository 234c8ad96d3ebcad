import { createInterface } from 'node:readline/promises';
import { HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { connectSql, type SqlAnswer, type SqlClient } from '@hotloop/platform/postgres/sql-client.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { tableWithin } from '../terminal.ts';
import { DEFAULT_MAX_ROWS, INSTALL_NOTES, installStatements } from './sql-install.ts';

interface SqlOptions extends GlobalOptions {
  readonly command?: string;
  readonly sql: string;
}

interface SqlInstallOptions extends SqlOptions {
  readonly endpoint: string;
  readonly grant?: string;
  readonly maxRows: string;
  readonly print?: boolean;
}

/** `hotloop sql` and `hotloop sql install`. */
export function addSqlCommands(program: Command, context: CommandContext): void {
  const sql = new Command('sql')
    .description('ask with SQL: predictions, the log, labels, files')
    .option('-c, --command <sql>', 'run it and end; without it, a prompt')
    .option('--sql <host:port>', 'where SQL is answered', '127.0.0.1:7405')
    .addHelpText(
      'after',
      `\nExample: hotloop sql -c "SELECT predict('purchase-intent', t) FROM 'sessions.parquet' t LIMIT 5"`,
    )
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SqlOptions>();
      await using client = await connected(`postgres://${addressOf(options)}/hotloop`);
      if (options.command === undefined) return await prompt(client, context);
      const answers = await asked(client, options.command);
      present(context, options, answers, () => answers.map(textOf).join('\n\n'));
    });
  program.addCommand(sql);
  sql
    .command('install')
    .description('let a Postgres database call hotloop.predict(model, row), by contrib dblink')
    .argument('<database-url>', 'postgres://... or the name of a variable that holds it')
    .option('--endpoint <host:port>', 'where the database reaches SQL', '127.0.0.1:7405')
    .option('--grant <role>', 'a role of the database that may call it, beside the one that installs it')
    .option('--max-rows <n>', 'rows of one call of the array form', String(DEFAULT_MAX_ROWS))
    .option('--print', 'print the statements instead of running them')
    .action(async (url: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SqlInstallOptions>();
      const key = options.print ? undefined : options.apiKey;
      const maxRows = maxRowsOf(options.maxRows);
      if (!/^[^\s:]+:\d{1,5}$|^\[[\da-f:]+\]:\d{1,5}$/i.test(options.endpoint))
        throw new CommandError(`--endpoint must be HOST:PORT, not ${JSON.stringify(options.endpoint)}`);
      const statements = installStatements(options.endpoint, { key, role: options.grant, maxRows });
      if (options.print) return void context.terminal.out.write(`${statements}\n`);
      await using client = await connected(addressNamed(url, context));
      await asked(client, statements);
      present(context, options, { installed: true, endpoint: options.endpoint }, () => INSTALL_NOTES);
    });
}

const MOST_ROWS = 1_000_000;

function maxRowsOf(text: string): number {
  const rows = Number(text);
  if (Number.isInteger(rows) && rows >= 1 && rows <= MOST_ROWS) return rows;
  throw new CommandError(
    `--max-rows must be a whole number from 1 to ${MOST_ROWS}, not ${JSON.stringify(text)}`,
  );
}

/** An address, or the variable that holds it, so that no password stands in a shell's history. */
function addressNamed(text: string, context: CommandContext): string {
  if (!/^[A-Z][A-Z0-9_]*$/.test(text)) return text;
  const url = context.environment?.[text];
  if (url === undefined)
    throw new CommandError(`the variable ${text} is not set; it holds the address of the database`);
  return url;
}

function addressOf(options: SqlOptions): string {
  const user = options.apiKey === undefined ? 'hotloop' : `hotloop:${encodeURIComponent(options.apiKey)}`;
  return `${user}@${options.sql}`;
}

async function connected(url: string): Promise<SqlClient> {
  return connectSql(url).catch((error: unknown) => {
    throw toClient(error);
  });
}

async function asked(client: SqlClient, sql: string): Promise<SqlAnswer[]> {
  return client.query(sql).catch((error: unknown) => {
    throw toClient(error);
  });
}

function toClient(error: unknown): unknown {
  if (!(error instanceof HotloopError)) return error;
  return new HotloopClientError(error.code, error.message);
}

/** Statements end with a semicolon; \q or Ctrl-D ends. */
async function prompt(client: SqlClient, context: CommandContext): Promise<void> {
  const { out } = context.terminal;
  if (!process.stdin.isTTY) throw new CommandError('say -c "SELECT ..." where there is no terminal');
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: 'hotloop=> ' });
  let pending = '';
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === '\\q') break;
    pending += `${line}\n`;
    if (/;\s*$/.test(pending)) {
      const answers = await client.query(pending).catch((error: unknown) => `${(error as Error).message}`);
      out.write(`${typeof answers === 'string' ? answers : answers.map(textOf).join('\n\n')}\n`);
      pending = '';
    }
    lines.setPrompt(pending === '' ? 'hotloop=> ' : '      -> ');
    lines.prompt();
  }
  lines.close();
}

function textOf({ command, columns, rows }: SqlAnswer): string {
  if (columns.length === 0) return command;
  const shown = rows.map((row) => row.map((value) => value ?? 'NULL'));
  // As psql does: values are shown whole.
  const table = tableWithin(Number.POSITIVE_INFINITY);
  return `${table(columns, shown)}\n(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`;
}
