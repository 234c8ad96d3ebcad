import type { Facts } from './facts.ts';

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

const MOST_DEPTH = 7;

/**
 * Fields of a JSON Schema. `takes`: a schema of user input, where a new required field breaks users. Each allowed
 * value of a field is a separate fact, so that values may be added but not removed.
 */
export function schemaFacts(of: string, schema: JsonSchema, takes: boolean): Facts {
  const facts: Record<string, string> = {};
  walk(schema, '', 0, takes);
  return facts;

  function walk(part: JsonSchema, path: string, depth: number, isTaken: boolean): void {
    if (depth > MOST_DEPTH) return;
    for (const word of part.enum ?? []) facts[`${of} | ${path} = ${String(word)}`] = '';
    for (const [name, field] of Object.entries(part.properties ?? {})) {
      const at = path === '' ? name : `${path}.${name}`;
      facts[`${of} | ${at}`] ??= [field.type ?? ''].flat().sort().join(' or ');
      if (isTaken && part.required?.includes(name)) facts[`requires ${of} | ${at}`] = '';
      walk(field, at, depth + 1, isTaken);
    }
    if (part.items) walk(part.items, `${path}[]`, depth + 1, isTaken);
    for (const whole of part.allOf ?? []) walk(whole, path, depth + 1, isTaken);
    // What only one of several alternatives requires is not required.
    for (const choice of [...(part.anyOf ?? []), ...(part.oneOf ?? [])]) walk(choice, path, depth + 1, false);
  }
}
