import type { Attributes } from '@hotloop/client/attributes.ts';
import type { CandidateInput, PredictInput, Prediction } from '@hotloop/client/prediction.ts';
import type { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present, withClient } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import type { Table } from '../terminal.ts';

interface PredictOptions extends GlobalOptions {
  readonly request?: string;
  readonly user?: string;
  readonly entity?: readonly string[];
  readonly candidates?: string;
  readonly useVersion?: string;
  readonly features?: boolean;
}

/** `hotloop predict MODEL`. */
export function addPredictCommand(program: Command, context: CommandContext): void {
  program
    .command('predict')
    .description('ask a model for a prediction')
    .argument('<model>', 'name of the model')
    .option('-r, --request <json>', 'fields of the request, as a JSON object')
    .option('-u, --user <id>', 'whom it is for; the same as --entity user=ID')
    .option('-e, --entity <name=id...>', 'further entities')
    .option(
      '-c, --candidates <file>',
      'JSON list of what may be shown: [{"id": "p1", "price": 3}]; - reads stdin',
    )
    .option('--use-version <version>', 'a version number, or live, candidate, previous')
    .option('--features', 'tell how each feature came by its value')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PredictOptions>();
      const input = await readInput(options, context);
      const prediction = await withClient(options, (client) =>
        client.predict(model, input, { signal: context.signal }),
      );
      present(context, options, prediction, (table) => describe(prediction, table));
    });
}

async function readInput(options: PredictOptions, context: CommandContext): Promise<PredictInput> {
  const request = options.request === undefined ? {} : parseJson(options.request, '--request');
  if (!isObject(request)) throw new CommandError('--request must be a JSON object, such as {"visits": 3}');
  const entities = Object.fromEntries((options.entity ?? []).map(parseEntity));
  const candidates =
    options.candidates === undefined
      ? undefined
      : parseJson((await context.readFile(options.candidates)).toString('utf8'), options.candidates);
  if (candidates !== undefined && !(Array.isArray(candidates) && candidates.every(isCandidate)))
    throw new CommandError(`${options.candidates} must hold a JSON list of objects, each with an id`);
  return {
    request: request as Attributes,
    entities,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(candidates === undefined ? {} : { candidates }),
    ...(options.useVersion === undefined ? {} : { version: options.useVersion }),
    featureStatuses: options.features ?? false,
  };
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(`${where} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseEntity(text: string): [string, string] {
  const split = text.indexOf('=');
  if (split < 1) throw new CommandError(`--entity must be NAME=ID, not ${JSON.stringify(text)}`);
  return [text.slice(0, split), text.slice(split + 1)];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCandidate(value: unknown): value is CandidateInput {
  return isObject(value) && typeof value.id === 'string';
}

function describe(prediction: Prediction, table: Table): string {
  const lines = [
    `${prediction.model} version ${prediction.version} (${prediction.variant})`,
    ...(prediction.label === '' ? [] : [`label       ${prediction.label}`]),
    `score       ${prediction.score.toFixed(4)}`,
    ...(prediction.degraded.length === 0 ? [] : [`without     ${prediction.degraded.join(', ')}`]),
    `prediction  ${prediction.predictionId}`,
  ];
  if (prediction.ranked.length > 0) {
    const rows = prediction.ranked.map((item) => [item.rank, item.id, item.score.toFixed(4)]);
    lines.push('', table(['rank', 'candidate', 'score'], rows));
  }
  if (prediction.featureStatuses.length > 0) {
    const rows = prediction.featureStatuses.map((report) => [
      report.feature,
      report.status,
      report.candidate,
    ]);
    lines.push('', table(['feature', 'status', 'candidate'], rows));
  }
  return lines.join('\n');
}
