import { z } from 'zod';
import { manifestSchema } from './manifest.ts';

/** model.yaml's schema as JSON Schema text, so that an editor completes and checks the file. */
export function manifestJsonSchema(): string {
  const schema = z.toJSONSchema(manifestSchema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
  });
  const titled = { $id: 'urn:hotloop:schema:model', title: 'model.yaml', ...schema };
  return `${JSON.stringify(titled, null, 2)}\n`;
}
