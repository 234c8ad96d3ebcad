import { z } from 'zod';
import { manifestSchema } from './manifest.ts';

/** The schema of model.yaml as JSON Schema text, with which editors complete and check the file. */
export function manifestJsonSchema(): string {
  const schema = z.toJSONSchema(manifestSchema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
  });
  const titled = { $id: 'urn:hotloop:schema:model', title: 'model.yaml', ...schema };
  return `${JSON.stringify(titled, null, 2)}\n`;
}
