import { z } from '../config.ts';
import {
  computeSettings,
  externalTrainerSettings,
  foundationSettings,
  listenSettings,
  peerSettings,
  postprocessorSettings,
  preprocessorSettings,
  retrainerSettings,
  sqlSettings,
  trainingWorkerSettings,
  workerSettings,
} from './settings.ts';

/** The processes in the order of the page, with the variables that only they read. */
const GROUPS: readonly (readonly [title: string, shape: z.ZodRawShape])[] = [
  ['Every service', foundationSettings],
  ['Preprocessor', { ...listenSettings(7400, 7480), ...preprocessorSettings, ...peerSettings }],
  ['Compute', { ...listenSettings(8001, 8000), ...computeSettings }],
  ['Postprocessor', { ...listenSettings(7402, 7482), ...postprocessorSettings }],
  ['Retrainer', { ...listenSettings(7403, 7404), ...retrainerSettings }],
  ['Training worker', { ...externalTrainerSettings, ...trainingWorkerSettings }],
  ['Batch worker', workerSettings],
  ['SQL', sqlSettings],
];

/** One table for each process: every variable that it reads, whether it must be set, and what it means. */
export function settingsMarkdown(): string {
  return GROUPS.map(([title, shape]) => {
    const rows = Object.entries(shape).map(([name, schema]) => rowOf(name, schema as z.ZodType));
    return `## ${title}\n\n| variable | default | meaning |\n|---|---|---|\n${rows.join('\n')}\n`;
  }).join('\n');
}

function rowOf(name: string, schema: z.ZodType): string {
  const { description, default: fallback } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const standard = schema.safeParse(undefined);
  const byDefault = fallback === undefined ? (standard.success ? '' : 'required') : `\`${String(fallback)}\``;
  return `| \`${name}\` | ${byDefault} | ${(description ?? '').replaceAll('|', '\\|')} |`;
}
