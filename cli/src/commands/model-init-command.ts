import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { initialNetwork, NETWORK_KINDS, type NetworkKind } from '@hotloop/model/onnx/initial-networks.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface InitOptions extends GlobalOptions {
  readonly features: number;
  readonly userFeatures?: number;
  readonly hidden: readonly number[];
  readonly factors: number;
  readonly task: 'binary' | 'regression' | 'ranking';
  readonly seed: number;
  readonly name: string;
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value;
  throw new InvalidArgumentError('must be a whole number above 0');
}

/** `hotloop model init KIND DIR`: writes an untrained model.onnx, and a model.yaml to begin with. */
export function addModelInit(model: Command, context: CommandContext): void {
  model
    .command('init')
    .description('write an untrained network to begin with: model.onnx and model.yaml')
    .argument('<kind>', NETWORK_KINDS.join(', '))
    .argument('[folder]', 'where to write', '.')
    .requiredOption('--features <n>', 'how many columns the features give', count)
    .option('--user-features <n>', 'two-tower: how many of them, from the first, describe the user', count)
    .option('--hidden <sizes>', 'sizes of the hidden layers', (text) => text.split(',').map(count), [32, 16])
    .option('--factors <n>', 'factorization-machine, two-tower: length of the vectors', count, 8)
    .addOption(new Option('--task <task>').choices(['binary', 'regression', 'ranking']).default('binary'))
    .option('--name <name>', 'name of the model', 'model')
    .option('--seed <n>', 'decides the first weights', count, 1)
    .addHelpText(
      'after',
      '\nExample:\n  hotloop model init wide-and-deep ./ranker --features 12 --task ranking',
    )
    .action(async (kind: string, folder: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<InitOptions>();
      if (!isKind(kind))
        throw new CommandError(`no network is named ${kind}; there are ${NETWORK_KINDS.join(', ')}`);
      const userInputs = options.userFeatures ?? Math.ceil(options.features / 2);
      if (kind === 'two-tower' && userInputs >= options.features)
        throw new CommandError('two-tower needs at least one feature of the user and one of the item');
      const path = (name: string) => join(folder, name);
      for (const name of ['model.onnx', 'model.yaml']) {
        const exists = await access(path(name)).then(
          () => true,
          () => false,
        );
        if (exists) throw new CommandError(`${path(name)} exists already; choose another folder`);
      }
      const onnx = initialNetwork({
        kind,
        inputs: options.features,
        userInputs,
        hidden: options.hidden,
        activation: 'relu',
        factors: options.factors,
        head: options.task === 'regression' ? 'none' : 'sigmoid',
        seed: options.seed,
      });
      await mkdir(folder, { recursive: true });
      await writeFile(path('model.onnx'), onnx);
      await writeFile(path('model.yaml'), manifestStub(options));
      const files = [path('model.onnx'), path('model.yaml')];
      present(
        context,
        options,
        { kind, files },
        () => `wrote ${files.join(' and ')}; name your features in model.yaml`,
      );
    });
}

const isKind = (kind: string): kind is NetworkKind => (NETWORK_KINDS as readonly string[]).includes(kind);

function manifestStub({ name, task, features }: InitOptions): string {
  const lines = Array.from(
    { length: features },
    (_, i) => `  - {name: x${i + 1}, from: request.x${i + 1}, missing: 0}`,
  );
  return [`name: ${name}`, `task: ${task}`, 'features:', ...lines, ''].join('\n');
}
