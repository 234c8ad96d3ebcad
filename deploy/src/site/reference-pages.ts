import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
}

const MOST_DEPTH = 4;

/** Every field of model.yaml as Markdown, from its JSON Schema: one table per section. Pure. */
export function manifestReference(schema: Schema): string {
  const lines = [
    '# Fields of model.yaml',
    '',
    'Written from `model/model.schema.json`; editors that know JSON Schema complete these fields.',
    '',
  ];
  for (const [name, section] of Object.entries(schema.properties ?? {})) {
    lines.push(
      `## ${name}`,
      '',
      section.description ?? '',
      '',
      '| field | values | meaning |',
      '|---|---|---|',
    );
    lines.push(...fieldRows(name, section, 0), '');
  }
  return lines.join('\n');
}

function fieldRows(path: string, schema: Schema, depth: number): string[] {
  const about = [
    schema.description ?? '',
    schema.default === undefined || typeof schema.default === 'object'
      ? ''
      : `Default \`${String(schema.default)}\`.`,
  ];
  const own = `| \`${path}\` | ${valuesOf(schema)} | ${cell(about.filter(Boolean).join(' '))} |`;
  if (depth >= MOST_DEPTH) return [own];
  const inner = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  const rows = inner.flatMap(({ properties, items }) => [
    ...Object.entries(properties ?? {}).flatMap(([name, field]) =>
      fieldRows(`${path}.${name}`, field, depth + 1),
    ),
    ...(items?.properties || items?.anyOf
      ? Object.entries(items.properties ?? {}).flatMap(([name, field]) =>
          fieldRows(`${path}[].${name}`, field, depth + 1),
        )
      : []),
  ]);
  return [own, ...new Set(rows)];
}

function valuesOf({
  type,
  enum: values,
  const: constant,
  anyOf,
  oneOf,
  minimum,
  maximum,
  items,
}: Schema): string {
  if (constant !== undefined) return cell(`\`${String(constant)}\``);
  if (values) return cell(values.map((value) => `\`${String(value)}\``).join(', '));
  const choices = anyOf ?? oneOf;
  if (choices) return cell([...new Set(choices.map(valuesOf))].join(' or '));
  const range = minimum === undefined && maximum === undefined ? '' : ` ${minimum ?? ''} .. ${maximum ?? ''}`;
  return cell(
    type === 'array'
      ? `list of ${items ? valuesOf(items) : 'anything'}`
      : `${[type ?? 'anything'].flat().join(', ')}${range}`,
  );
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** Every gRPC contract as Markdown: its services in a table, then the file. */
export function contractsReference(root: string): string {
  const folder = join(root, 'proto', 'hotloop', 'v1');
  const lines = [
    '# gRPC contracts',
    '',
    'The files of `proto/hotloop/v1`. Each control and front-door address also serves `/openapi.json`.',
    '',
  ];
  for (const name of readdirSync(folder).sort()) {
    const text = readFileSync(join(folder, name), 'utf8');
    lines.push(`## ${name}`, '');
    const methods = [...text.matchAll(/^\s*rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)/gm)];
    if (methods.length > 0) {
      lines.push('| method | takes | answers |', '|---|---|---|');
      for (const [, method, takes = '', request, gives = '', reply] of methods)
        lines.push(`| \`${method}\` | ${takes}${request} | ${gives}${reply} |`);
      lines.push('');
    }
    lines.push('```proto', text.trimEnd(), '```', '');
  }
  return lines.join('\n');
}
