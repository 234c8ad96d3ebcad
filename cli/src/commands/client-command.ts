import { Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface GenerateOptions extends GlobalOptions {
  readonly manifest?: string;
  readonly output?: string;
}

/** `hotloop client generate`. */
export function addClientCommand(program: Command, context: CommandContext): void {
  const client = new Command('client').description('typed clients of models');
  program.addCommand(client);
  client
    .command('generate')
    .description('write a typed TypeScript client of a model: a wrong feature name fails tsc')
    .argument('[model]', 'a registered model; or use --manifest')
    .argument('[version]', 'a version number; absent: the live one', parseVersion)
    .option('--manifest <file>', 'a model.yaml, instead of a registered model')
    .option('-o, --output <file>', 'default: standard output')
    .addHelpText('after', '\nExample:\n  hotloop client generate churn -o src/churn-client.ts')
    .action(
      async (model: string | undefined, version: number | undefined, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<GenerateOptions>();
        if ((model === undefined) === (options.manifest === undefined))
          throw new CommandError('name a registered model, or a file with --manifest');
        const [{ parseManifest }, { writeClient }] = await Promise.all([
          import('@hotloop/model/manifest/parse-manifest.ts'),
          import('@hotloop/model/manifest/write-client.ts'),
        ]);
        const found =
          options.manifest === undefined
            ? await registered(context, options, model ?? '', version)
            : { version: null, text: (await context.readFile(options.manifest)).toString('utf8') };
        const manifest = parseManifest(found.text);
        const code = writeClient(manifest, found.version);
        if (options.output === undefined)
          return present(context, options, { model: manifest.name, version: found.version, code }, () =>
            code.trimEnd(),
          );
        const { writeFile } = await import('node:fs/promises');
        await writeFile(options.output, code);
        const written = { model: manifest.name, version: found.version, file: options.output };
        present(context, options, written, () => `the client of ${manifest.name} is in ${options.output}`);
      },
    );
}

async function registered(
  context: CommandContext,
  options: GenerateOptions,
  model: string,
  wanted: number | undefined,
) {
  const control = controlClient(options, context.signal);
  const at = `/v1/models/${encodeURIComponent(model)}`;
  const version = wanted ?? (await control.get<{ version: number | null }>(`${at}/which`)).version;
  if (version === null)
    throw new CommandError(
      `no version of ${model} is live; name one: hotloop client generate ${model} VERSION`,
    );
  const response = await control.open(`${at}/versions/${version}/model.yaml`);
  return { version, text: await response.text() };
}

function parseVersion(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('must be a version number');
  return value;
}
