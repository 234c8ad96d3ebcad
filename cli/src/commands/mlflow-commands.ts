import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface MlflowOptions extends GlobalOptions {
  readonly mlflow: string;
  readonly output?: string;
  readonly name?: string;
}

const DEFAULT = 'http://127.0.0.1:5000';

/** `hotloop mlflow runs|push|pull`. */
export function addMlflowCommands(program: Command, context: CommandContext): void {
  const mlflow = new Command('mlflow').description('runs and models to and from an MLflow server');
  program.addCommand(mlflow);
  mlflow
    .command('runs')
    .description('export ended runs: parameters, metrics, curves, dataset, hardware')
    .argument('[model]', 'default: of all models')
    .option('--mlflow <url>', 'the tracking server', DEFAULT)
    .addHelpText('after', '\nExample: hotloop mlflow runs churn --mlflow http://127.0.0.1:5000')
    .action(async (model: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<MlflowOptions>();
      const told = await controlClient(options, context.signal).post<{ exported: number; known: number }>(
        '/v1/mlflow/runs',
        { url: options.mlflow, model: model ?? '' },
      );
      present(
        context,
        options,
        told,
        () => `${told.exported} runs exported, ${told.known} were there already`,
      );
    });
  mlflow
    .command('push')
    .description("register a version in MLflow's model registry")
    .argument('<model>')
    .argument('<version>')
    .option('--mlflow <url>', 'the tracking server', DEFAULT)
    .option('--name <name>', 'its name there; default: the same')
    .action(async (model: string, version: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<MlflowOptions>();
      const { control, mlflowClient, registry } = await parts(context, options);
      const at = `/v1/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`;
      const file = async (name: string) =>
        Buffer.from(await (await control.open(`${at}/${name}`)).arrayBuffer());
      const [onnx, manifest] = await Promise.all([file('model.onnx'), file('model.yaml')]);
      const name = options.name ?? model;
      const number = await registry.pushToMlflow(mlflowClient(options.mlflow), name, Number(version), {
        onnx,
        manifestYaml: manifest.toString('utf8'),
      });
      present(
        context,
        options,
        { name, version: number },
        () => `version ${version} of ${model} is ${name} version ${number} in MLflow`,
      );
    });
  mlflow
    .command('pull')
    .description("write a version of MLflow's model registry into a folder, to be pushed from there")
    .argument('<name>')
    .argument('<version>')
    .option('--mlflow <url>', 'the tracking server', DEFAULT)
    .option('-o, --output <folder>', 'default: NAME-VERSION')
    .action(async (name: string, version: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<MlflowOptions>();
      const { mlflowClient, registry } = await parts(context, options);
      const { onnx, manifestYaml } = await registry.pullFromMlflow(
        mlflowClient(options.mlflow),
        name,
        version,
      );
      const folder = options.output ?? `${name}-${version}`;
      await mkdir(folder, { recursive: true });
      const write = async (file: string, bytes: Uint8Array | string) =>
        writeFile(join(folder, file), bytes, { flag: 'wx' }).catch((cause: unknown) => {
          throw new CommandError(`${join(folder, file)} exists already; choose another folder`, { cause });
        });
      await write('model.onnx', onnx);
      if (manifestYaml !== null) await write('model.yaml', manifestYaml);
      present(context, options, { folder, bytes: onnx.length }, () =>
        manifestYaml === null
          ? `${folder}/model.onnx; it has no model.yaml: as it is, it is served as a bare tensor model`
          : `${folder}: model.onnx and model.yaml; \`hotloop model push ${folder}\` registers it`,
      );
    });
}

async function parts(context: CommandContext, options: GlobalOptions) {
  const [{ mlflowClient }, registry] = await Promise.all([
    import('@hotloop/retrainer/runs/mlflow/mlflow-client.ts'),
    import('@hotloop/retrainer/runs/mlflow/model-registry.ts'),
  ]);
  return { control: controlClient(options, context.signal), mlflowClient, registry };
}
