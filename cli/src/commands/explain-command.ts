import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import type { Table } from '../terminal.ts';

interface ExplanationView {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly row: number;
  readonly candidate: string | null;
  readonly method: string;
  readonly score: number;
  readonly logged: number | null;
  readonly reference: number;
  readonly referenceIs: string;
  readonly sum: number;
  readonly gap: number;
  readonly class: string | null;
  readonly features: readonly {
    readonly name: string;
    readonly status: string;
    readonly values: readonly number[];
    readonly category: string | null;
    readonly attribution: number;
  }[];
}

interface ExplainOptions extends GlobalOptions {
  readonly row: number;
}

const BAR = 12;
const METHODS: Readonly<Record<string, string>> = {
  integrated_gradients: 'integrated gradients',
  permutation: 'permutations of features',
};

/** `hotloop explain`. */
export function addExplainCommand(program: Command, context: CommandContext): void {
  program
    .command('explain')
    .description('which features moved a prediction, and by how much')
    .argument('<prediction-id>')
    .option('--row <n>', 'which candidate, counted from 0', parseRow, 0)
    .addHelpText('after', '\nExample:\n  hotloop explain 01890a5d-ac96-774b-bcce-b302099a8057')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ExplainOptions>();
      const found = await controlClient(options, context.signal).get<ExplanationView>(
        `/v1/predictions/${encodeURIComponent(id)}/explanation`,
        { row: options.row },
      );
      present(context, options, found, (table) => describe(found, table));
    });
}

function parseRow(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('must be 0 or more');
  return value;
}

function describe(found: ExplanationView, table: Table): string {
  const { features, score, reference, sum, gap, logged } = found;
  const largest = Math.max(...features.map(({ attribution }) => Math.abs(attribution)), 1e-12);
  const rows = features.map(({ name, attribution, values, category, status }) => {
    const length = Math.round((BAR * Math.abs(attribution)) / largest);
    const value = category ?? values.map((one) => Number(one.toPrecision(4))).join(' ');
    const note = status === 'present' ? '' : ` (${status})`;
    return [name, signed(attribution), (attribution < 0 ? '-' : '+').repeat(length), value + note];
  });
  const what = found.class === null ? 'score' : `score of ${found.class}`;
  const of = found.candidate === null ? '' : ` of ${found.candidate}`;
  const differs =
    logged !== null && Math.abs(logged - score) > 1e-3 ? [`  it was logged as ${logged.toFixed(4)}`] : [];
  return [
    `${found.model} version ${found.version}: ${what}${of} ${score.toFixed(4)}, against ${reference.toFixed(4)} for ${found.referenceIs}`,
    ...differs,
    table(['feature', 'moved by', '', 'as the model got it'], rows),
    `sum ${signed(sum)}, off by ${Math.abs(gap).toExponential(1)}; by ${METHODS[found.method] ?? found.method}`,
  ].join('\n');
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(4)}`;
}
