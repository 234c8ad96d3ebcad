import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface ExportOptions extends GlobalOptions {
  readonly output: string;
  readonly from?: string;
  readonly to?: string;
  readonly modelVersion?: string;
  readonly minScore?: string;
  readonly maxScore?: string;
  readonly lowConfidence?: string;
  readonly suspected?: boolean;
  readonly disagreement?: string;
  readonly drifted?: string;
  readonly limit?: string;
}

/** `hotloop predictions export`. */
export function addPredictionsCommands(program: Command, context: CommandContext): void {
  const predictions = new Command('predictions').description('predictions for people to look at');
  program.addCommand(predictions);
  predictions
    .command('export')
    .description('save predictions with what is known of them; fill in the column label to correct them')
    .argument('<model>')
    .requiredOption('-o, --output <file>', 'where to: .csv or .parquet')
    .option('--from <time>', 'RFC 3339; default a week ago')
    .option('--to <time>', 'RFC 3339')
    .option('--model-version <number>', 'of this version alone')
    .option('--min-score <number>', 'with at least this score')
    .option('--max-score <number>', 'with at most this score')
    .option('--low-confidence <margin>', 'whose two most probable classes are no farther apart than this')
    .option('--suspected', 'whose label is probably wrong, by confident learning')
    .option('--disagreement <difference>', 'that a shadow version answered otherwise, by at least this')
    .option('--drifted <feature>', 'in which this feature has a value that was rare in training')
    .option('--limit <rows>', 'at most so many')
    .addHelpText('after', '\nExample: hotloop predictions export churn --suspected -o look.csv')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ExportOptions>();
      const answer = await controlClient(options, context.signal).open(
        `/v1/models/${encodeURIComponent(model)}/predictions/file`,
        {
          format: options.output.endsWith('.parquet') ? 'parquet' : 'csv',
          from: options.from,
          to: options.to,
          version: options.modelVersion,
          min_score: options.minScore,
          max_score: options.maxScore,
          margin: options.lowConfidence,
          suspected: options.suspected ? 'true' : undefined,
          disagreement: options.disagreement,
          drifted: options.drifted,
          limit: options.limit,
        },
      );
      if (!answer.body) throw new CommandError('the control API answered nothing');
      await pipeline(Readable.fromWeb(answer.body as never), createWriteStream(options.output));
      const { size } = await stat(options.output);
      present(
        context,
        options,
        { file: options.output, bytes: size },
        () => `${options.output}: ${size} bytes`,
      );
    });
}
