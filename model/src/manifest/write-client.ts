import { compileFeatures } from '../features/compile-feature.ts';
import type { RawType } from '../features/raw-value.ts';
import { parseSourcePath } from '../features/source-path.ts';
import type { Manifest } from './manifest.ts';

/** A field that the model reads, with its TypeScript type. */
interface Field {
  readonly type: string;
  readonly isRequired: boolean;
  readonly about: string;
}

const TYPES: Record<RawType, string> = {
  number: 'number',
  text: 'string',
  flag: 'boolean',
  texts: 'readonly string[]',
  image: 'string',
};

/** The package that the generated module uses. */
const CLIENT = '@hotloop/client';

/** Position of the entity in a `from`, by its first word. */
const ENTITY_AT: Readonly<Record<string, number>> = { history: 1, entity: 1 };

/**
 * Writes a TypeScript module with the types of a model's request, candidates, entities and labels, and a client that
 * accepts only these: an unused field, a missing required field or a value of the wrong type fails `tsc`. Pure.
 *
 * @param version the version that the types are taken from, for the heading; null for a file.
 */
export function writeClient(manifest: Manifest, version: number | null): string {
  const isRanking = manifest.task === 'ranking';
  const request = new Map<string, Field>();
  const items = new Map<string, Field>();
  const entities = new Set<string>(manifest.outcome.join ?? []);
  for (const [index, feature] of compileFeatures(manifest.features, isRanking).entries()) {
    const [source, first, ...rest] = parseSourcePath(feature.from) ?? [];
    const field = {
      type: typeOf(feature.type, manifest.features[index]?.transform.at(-1)),
      isRequired: feature.missing === undefined,
      about: `feature ${feature.name}`,
    };
    if (source?.name === 'request' && first) add(request, first.name, field);
    if (source?.name === 'item' && first && first.name !== 'id') add(items, first.name, field);
    const at = ENTITY_AT[source?.name ?? ''];
    const entity = at === undefined ? manifest.features[index]?.by : [source, first, ...rest][at]?.name;
    if (entity !== undefined) entities.add(entity);
  }
  for (const [, source, name = ''] of JSON.stringify(manifest.decision).matchAll(
    /\b(request|item)\.([A-Za-z_]\w*)/g,
  ))
    if (name !== 'id')
      add(source === 'request' ? request : items, name, {
        ...{ type: 'AttributeValue', isRequired: false, about: 'read by the decision' },
      });
  if (isRanking) entities.delete('item');
  const name = pascal(manifest.name);
  const labels = manifest.decision.labels?.map((label) => JSON.stringify(label)).join(' | ');
  const needsRequest = [...request.values()].some(({ isRequired }) => isRequired);
  return `// Written by \`hotloop client generate ${manifest.name}\` from ${version === null ? 'a model.yaml' : `version ${version}`}. Do not edit: generate it again.
import type { ${[...(usesAttribute(request, items) ? ['AttributeValue'] : []), 'CallPatience', 'HotloopClient', 'OutcomeResult', 'Prediction'].join(', ')} } from '${CLIENT}';

/** Fields of the request. */
export type ${name}Request = ${objectOf(request)};
${isRanking ? `\n/** A candidate to be ranked. */\nexport type ${name}Item = ${objectOf(items, '  readonly id: string;\n')};\n` : ''}
/** The entities that the prediction is about. */
export type ${name}Entities = {
${[...entities].map((entity) => `  readonly ${key(entity)}?: string;\n`).join('')}};

/** One prediction of ${manifest.name}. */
export interface ${name}Input {
  readonly entities?: ${name}Entities;
  readonly request${needsRequest ? '' : '?'}: ${name}Request;
${isRanking ? `  readonly candidates: readonly ${name}Item[];\n` : ''}  /** A version number, or live (default), candidate, previous. */
  readonly version?: number | 'live' | 'candidate' | 'previous';
  readonly predictionId?: string;
}

export type ${name}Label = ${labels ?? 'string'};
export type ${name}Prediction = Omit<Prediction, 'label'> & { readonly label: ${name}Label };

/** Predictions of ${manifest.name}, with its own types, over a client that the caller opens and closes. */
export class ${name}Client {
  static readonly model = ${JSON.stringify(manifest.name)};
  readonly #client: HotloopClient;

  constructor(client: HotloopClient) {
    this.#client = client;
  }

  /** Requests one prediction. Rejects with HotloopClientError. */
  async predict(input: ${name}Input${needsRequest || isRanking ? '' : ' = {}'}, patience?: CallPatience): Promise<${name}Prediction> {
    return (await this.#client.predict(${name}Client.model, input, patience)) as ${name}Prediction;
  }

  /** Records the outcome of a prediction. */
  recordOutcome(predictionId: string, value: ${outcomeType(manifest)}, patience?: CallPatience): Promise<OutcomeResult> {
    return this.#client.recordOutcome({ model: ${name}Client.model, predictionId, value }, patience);
  }
}
`;
}

/** If two features use the same field, the stricter requirement applies. */
function add(fields: Map<string, Field>, name: string, field: Field): void {
  const known = fields.get(name);
  if (known === undefined) fields.set(name, field);
  else
    fields.set(name, {
      type: known.type === 'AttributeValue' ? field.type : known.type,
      isRequired: known.isRequired || field.isRequired,
      about: `${known.about}, ${field.about}`,
    });
}

/** The type of a text encoded by categories lists them, and allows other texts, as the model does. */
function typeOf(type: RawType, last: unknown): string {
  if (type !== 'text' || typeof last !== 'object' || last === null || !('one_hot' in last))
    return TYPES[type];
  const categories = Array.isArray(last.one_hot) ? last.one_hot : [];
  const texts = categories.filter((category) => typeof category === 'string').slice(0, 50);
  if (texts.length === 0) return TYPES[type];
  return `${texts.map((text) => JSON.stringify(text)).join(' | ')} | (string & {})`;
}

function outcomeType({ task, decision }: Manifest): string {
  switch (task) {
    case 'binary':
      return 'boolean | number';
    case 'regression':
      return 'number';
    case 'multiclass':
      return decision.labels === undefined ? 'string | number' : `${pascalLabel(decision.labels)} | number`;
    default:
      return 'number | boolean | string';
  }
}

function pascalLabel(labels: readonly string[]): string {
  return labels.map((label) => JSON.stringify(label)).join(' | ');
}

function objectOf(fields: ReadonlyMap<string, Field>, first = ''): string {
  const lines = [...fields].map(([name, { type, isRequired, about }]) => {
    const text = `  /** ${about.replaceAll('*/', '')} */\n`;
    return isRequired
      ? `${text}  readonly ${key(name)}: ${type};\n`
      : `${text}  readonly ${key(name)}?: ${type} | null;\n`;
  });
  return `{\n${first}${lines.join('')}}`;
}

function usesAttribute(...all: readonly ReadonlyMap<string, Field>[]): boolean {
  return all.some((fields) => [...fields.values()].some(({ type }) => type === 'AttributeValue'));
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** card-payments -> CardPayments; a name that starts with a digit is prefixed by M. */
function pascal(name: string): string {
  const text = name
    .split(/[^A-Za-z0-9]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
  return /^[A-Za-z]/.test(text) ? text : `M${text}`;
}
