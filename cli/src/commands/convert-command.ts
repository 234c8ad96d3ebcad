import { spawn } from 'node:child_process';
import { readdir, rm, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { CONVERT_SCRIPT, CONVERTERS, type ModelFormat } from '../convert-script.ts';

const FORMATS = Object.keys(CONVERTERS) as ModelFormat[];
const BY_ENDING: readonly (readonly [RegExp, ModelFormat])[] = [
  [/\.(pkl|pickle|joblib|skops)$/i, 'sklearn'],
  [/\.(ubj|xgb)$/i, 'xgboost'],
  [/\.(keras|h5)$/i, 'keras'],
  [/\.(pt|pth)$/i, 'torch'],
  [/\.pmml$/i, 'pmml'],
];
/** What float32 rounding explains; trees turn a rounding of a threshold into another leaf. */
const CLOSE = 1e-4;

interface ConvertOptions extends GlobalOptions {
  readonly from?: ModelFormat;
  readonly output: string;
  readonly columns?: number;
  readonly shape?: readonly number[];
  readonly python: string;
  readonly tolerance: number;
}

interface Converted {
  readonly inputs: readonly (readonly [string, string, readonly string[]])[];
  readonly outputs: readonly (readonly [string, string, readonly string[]])[];
  readonly compared: number;
  /** Largest difference between what the two models answer; null where nothing could be compared. */
  readonly difference: number | null;
}

function whole(value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('must be a whole number above 0');
}

/** `hotloop model convert`: a model of another library becomes ONNX, by the library's own converter, where Python has it. */
export function addModelConvert(model: Command, context: CommandContext): void {
  model
    .command('convert')
    .description('make ONNX of a model of another library, by its converter in Python, and compare both')
    .argument(
      '<path>',
      'the file, or the folder of an MLflow model or a SavedModel; a pickle runs code: convert what you trust',
    )
    .addOption(new Option('--from <format>', 'default: by the name of the file').choices(FORMATS))
    .option('-o, --output <file>', 'where to', 'model.onnx')
    .option('--columns <n>', 'columns of a row, where the model does not say', whole)
    .option('--shape <sizes>', 'torch: sizes of a row, such as 3,32,32', (given) =>
      given.split(',').map(whole),
    )
    .option('--python <program>', 'the Python that has the packages', 'python3')
    .option('--tolerance <difference>', 'largest difference that is accepted', Number, CLOSE)
    .addHelpText('after', '\nExample: hotloop model convert churn.pkl -o model.onnx')
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ConvertOptions>();
      const kind = await stat(path).catch((cause: unknown) => {
        throw new CommandError(`${path} cannot be read`, { cause });
      });
      const format = options.from ?? (kind.isDirectory() ? await folderFormat(path) : formatOf(path));
      const converted = await runConverter(path, format, options, context.signal);
      const { compared, difference } = converted;
      if (difference !== null && !(difference <= options.tolerance)) {
        await rm(options.output, { force: true });
        throw new CommandError(
          `the ONNX file answers otherwise than the model: by ${difference} on ${compared} random rows, more than ` +
            `${options.tolerance}; nothing was kept (--tolerance accepts it)`,
        );
      }
      present(context, options, { ...converted, format, file: options.output }, () =>
        [
          `${options.output}: from ${format}`,
          ...converted.inputs.map(([name, type, shape]) => `  takes  ${name} ${type}[${shape.join(', ')}]`),
          ...converted.outputs.map(([name, type, shape]) => `  gives  ${name} ${type}[${shape.join(', ')}]`),
          difference === null
            ? '  not compared: it was ONNX already'
            : `  largest difference on ${compared} random rows: ${difference.toExponential(1)}`,
        ].join('\n'),
      );
    });
}

/** TensorFlow's SavedModel and MLflow's models are folders. */
async function folderFormat(path: string): Promise<ModelFormat> {
  const names = await readdir(path);
  if (names.includes('MLmodel')) return 'mlflow';
  if (names.includes('saved_model.pb')) return 'keras';
  throw new CommandError(
    `the folder ${path} holds neither an MLmodel of MLflow nor a saved_model.pb of TensorFlow`,
  );
}

function formatOf(path: string): ModelFormat {
  const found = BY_ENDING.find(([ending]) => ending.test(path))?.[1];
  if (found === undefined)
    throw new CommandError(`the name of ${path} does not tell what it is; say --from ${FORMATS.join('|')}`);
  return found;
}

async function runConverter(
  path: string,
  format: ModelFormat,
  { output, columns, shape, python }: ConvertOptions,
  signal: AbortSignal,
): Promise<Converted> {
  const job = JSON.stringify({ path, output, format, columns: columns ?? null, shape: shape ?? null });
  const child = spawn(python, ['-c', CONVERT_SCRIPT, job], { stdio: ['ignore', 'pipe', 'pipe'], signal });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const [printed, complaints, code] = await Promise.race([
    Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.once('close', resolve)),
    ]),
    failed,
  ]).catch((cause: unknown) => {
    throw new CommandError(
      `${python} is not installed: install Python 3, then pip install ${CONVERTERS[format]}`,
      {
        cause,
      },
    );
  });
  const last = printed.trim().split('\n').at(-1) ?? '';
  const told = parse(last);
  if (told !== null && 'missing' in told)
    throw new CommandError(`Python has no ${told.missing}: pip install ${CONVERTERS[format]}`);
  if (code !== 0 || told === null)
    throw new CommandError(
      `${path} could not be converted: ${complaints.trim().split('\n').at(-1)?.slice(0, 500) || `exit code ${code}`}`,
    );
  return told;
}

function parse(line: string): Converted | { readonly missing: string } | null {
  try {
    return JSON.parse(line) as Converted;
  } catch {
    return null;
  }
}
