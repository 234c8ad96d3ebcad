import { Command, Option } from 'commander';
import { buildLambda } from './build-lambda.ts';

await new Command('node deploy/src/serverless/build-main.ts')
  .description('Makes the folder of an AWS Lambda function from a fused file')
  .argument('<model>', 'made by `hotloop model export MODEL --fused -o model.onnx`')
  .argument('<folder>', 'its existing contents are removed')
  .addOption(new Option('--architecture <name>').choices(['x64', 'arm64']).default('x64'))
  .action(async (model: string, out: string, { architecture }: { architecture: 'x64' | 'arm64' }) => {
    const { bytes } = await buildLambda({ model, out, architecture });
    process.stdout.write(`${out}: ${(bytes / 1e6).toFixed(1)} MB, handler index.handler\n`);
  })
  .parseAsync();
