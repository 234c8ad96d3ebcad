import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { featureSchema, transformSchema } from '../features/feature-schema.ts';
import { withKinds } from '../features/kinds-markdown.ts';
import { parseSource, SOURCES, TRANSFORMS, transformKindOf } from '../features/registry.ts';

describe('the registry', () => {
  it('has an example for each kind that the schema accepts, and is up to date in docs/features.md', () => {
    for (const { name, example } of TRANSFORMS) {
      const given = parse(`[${example}]`)[0];
      expect(transformKindOf(given).name).toBe(name);
      expect(transformSchema.safeParse(given).success, example).toBe(true);
    }
    for (const { example, name } of SOURCES) {
      const feature = featureSchema.parse(parse(example));
      expect(parseSource(feature.from).kind.name).toBe(name);
    }
    const page = readFileSync(new URL('../../../docs/features.md', import.meta.url), 'utf8');
    expect(withKinds(page)).toBe(page);
  });
});
