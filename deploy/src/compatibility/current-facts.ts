import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Facts, sortedFacts } from './facts.ts';
import { httpFacts } from './http-facts.ts';
import { protoFacts } from './proto-facts.ts';
import { type JsonSchema, schemaFacts } from './schema-facts.ts';
import { sdkFacts } from './sdk-facts.ts';

/** Facts about everything public: gRPC contracts, both HTTP APIs, model.yaml, the client library. */
export async function currentFacts(root: string): Promise<Facts> {
  const schema = JSON.parse(readFileSync(join(root, 'model', 'model.schema.json'), 'utf8')) as JsonSchema;
  return sortedFacts({
    ...protoFacts(),
    ...(await httpFacts()),
    ...schemaFacts('model.yaml', schema, true),
    ...sdkFacts(root),
  });
}

/** Facts of the last release. */
export function releasedFacts(root: string): Facts {
  return JSON.parse(readFileSync(releasedFile(root), 'utf8')) as Facts;
}

export function releasedFile(root: string): string {
  return join(root, 'deploy', 'compatibility', 'released.json');
}
