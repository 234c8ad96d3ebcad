import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';
import { progressLine } from '../terminal.ts';

interface Upload {
  readonly uploadId: string;
  readonly model: string;
  readonly state: string;
  readonly uploadedBy: string;
  readonly rows: number;
  readonly accepted: number;
  readonly refused: number;
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly createdAt: string;
}

interface Preview {
  readonly changed: number;
  readonly added: number;
  readonly same: number;
  readonly contradicting: number;
  readonly versions: readonly number[];
}

/** `hotloop corrections upload|list|show|approve|withdraw|waive`. */
export function addCorrectionCommands(program: Command, context: CommandContext): void {
  const corrections = new Command('corrections').description('what analysts say about predictions');
  program.addCommand(corrections);
  corrections
    .command('upload')
    .description('stage a file of corrections; nothing counts before it is approved')
    .argument('<file>', 'CSV, JSONL or Parquet with label and prediction_id, or label and the features')
    .requiredOption('-m, --model <name>', 'whose predictions they are')
    .option('--note <text>', 'kept with the upload')
    .addHelpText('after', '\nExample: hotloop corrections upload wrong.csv --model churn')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { model: string; note?: string }>();
      const { size } = await stat(file).catch((cause: unknown) => {
        throw new CommandError(`${file} cannot be read`, { cause });
      });
      let upload: Upload;
      {
        using progress = progressLine(context.terminal);
        let sent = 0;
        const stream = createReadStream(file).on('data', (chunk) => {
          sent += chunk.length;
          progress.update(`sending ${file}`, sent / Math.max(size, 1));
        });
        upload = await controlClient(options, context.signal).upload<Upload>(
          `/v1/models/${encodeURIComponent(options.model)}/corrections/file`,
          Readable.toWeb(stream) as ReadableStream<Uint8Array>,
          'application/octet-stream',
          { note: options.note },
        );
      }
      const preview = await controlClient(options, context.signal).get<Preview>(
        `/v1/corrections/${upload.uploadId}/preview`,
      );
      present(context, options, { ...upload, preview }, () =>
        [
          describe(upload),
          describePreview(preview),
          `\`hotloop corrections approve ${upload.uploadId}\` lets it count`,
        ].join('\n'),
      );
    });
  corrections
    .command('list')
    .description('the newest uploads')
    .argument('[model]')
    .action(async (model: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { uploads } = await controlClient(options, context.signal).get<{ uploads: Upload[] }>(
        '/v1/corrections',
        { model },
      );
      present(context, options, uploads, (table) =>
        table(
          ['upload', 'model', 'state', 'by', 'usable', 'refused'],
          uploads.map((one) => [
            one.uploadId,
            one.model.slice(0, 20),
            one.state,
            one.uploadedBy.slice(0, 12),
            one.accepted,
            one.refused,
          ]),
        ),
      );
    });
  for (const [name, about] of [
    ['show', 'the report of an upload: refused rows by line, contradictions'],
    ['approve', 'let an upload count: its labels are used and later versions must answer them rightly'],
    ['withdraw', 'take an upload back, with its labels'],
  ] as const)
    corrections
      .command(name)
      .description(about)
      .argument('<upload>')
      .action(async (id: string, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions>();
        const client = controlClient(options, context.signal);
        const path = `/v1/corrections/${encodeURIComponent(id)}`;
        const upload =
          name === 'show' ? await client.get<Upload>(path) : await client.post<Upload>(`${path}/${name}`);
        present(context, options, upload, () => describe(upload));
      });
  corrections
    .command('waive')
    .description('let later versions pass without answering corrections rightly; their labels stay')
    .argument('<upload>')
    .requiredOption('--reason <text>', 'why; kept in the ledger')
    .option('--line <numbers...>', 'these lines of the upload alone; default all')
    .option('--yes', 'do it')
    .addHelpText(
      'after',
      '\nExample: hotloop corrections waive 3f2a9c1d-... --line 17 --reason "rare case" --yes',
    )
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<
        GlobalOptions & { reason: string; line?: string[]; yes?: boolean }
      >();
      await confirmed(context, options, `let later versions answer corrections of upload ${id} wrongly?`);
      const upload = await controlClient(options, context.signal).post<Upload>(
        `/v1/corrections/${encodeURIComponent(id)}/waive`,
        { reason: options.reason, lines: options.line?.map(Number) ?? null },
      );
      present(context, options, upload, () => describe(upload));
    });
}

function describe(upload: Upload): string {
  const counts = Object.entries(upload.counts).map(([state, rows]) => `${rows} ${state}`);
  return [
    `${upload.uploadId} (${upload.model}): ${upload.state}`,
    `${upload.rows} rows, ${upload.accepted} usable (${counts.join(', ') || 'none'}), ${upload.refused} refused`,
    ...upload.problems.slice(0, 20).map(({ line, problem }) => `  line ${line}: ${problem}`),
  ].join('\n');
}

function describePreview({ changed, added, same, contradicting, versions }: Preview): string {
  const against =
    contradicting === 0 ? '' : `; ${contradicting} contradict approved corrections, and neither will count`;
  return `approving it changes ${changed} labels and adds ${added}; ${same} stay${against}; answers of version ${versions.join(', ') || 'none'}`;
}
