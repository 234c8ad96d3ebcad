import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface ExportOptions extends GlobalOptions {
  readonly useVersion: string;
  readonly fused?: boolean;
  readonly output?: string;
}

/** `hotloop model export`: a version as a file that any ONNX Runtime executes. */
export function addExportCommand(program: Command, context: CommandContext): void {
  const model = program.commands.find((command) => command.name() === 'model') ?? program;
  const command = new Command('export')
    .description('write a version as one ONNX file: raw fields in, decision out')
    .argument('<model>')
    .option('--fused', 'with its features and decision in the graph (the only form so far)')
    .option('--use-version <version>', 'a number, or live, candidate, previous', 'live')
    .option('-o, --output <file>', 'where to write it (default MODEL-VERSION.onnx)')
    .addHelpText('after', '\nExample: hotloop model export purchase-intent --fused -o purchase-intent.onnx')
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<ExportOptions>();
      if (!options.fused) throw new CommandError('say --fused: one file with features, network and decision');
      const path = `/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(options.useVersion)}/fused`;
      const response = await controlClient(options, context.signal).open(path);
      const version = Number(response.headers.get('x-hotloop-version'));
      const runtimeOperators = (response.headers.get('x-hotloop-runtime-operators') ?? '')
        .split(',')
        .filter(Boolean);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const output = options.output ?? `${name}-${version}.onnx`;
      await writeFile(output, bytes).catch((cause: unknown) => {
        throw new CommandError(`${output} cannot be written`, { cause });
      });
      const result = { model: name, version, output, bytes: bytes.length, runtimeOperators };
      present(context, options, result, () => {
        const own =
          runtimeOperators.length === 0 ? '' : `; needs ONNX Runtime for ${runtimeOperators.join(', ')}`;
        return `${name} version ${version} is in ${output} (${bytes.length} bytes${own})`;
      });
    });
  model.addCommand(command);
}
