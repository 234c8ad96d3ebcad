import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withKinds } from '../features/kinds-markdown.ts';
import { manifestJsonSchema } from './manifest-json-schema.ts';

const SCHEMA_FILE = fileURLToPath(new URL('../../model.schema.json', import.meta.url));
const FEATURES_PAGE = fileURLToPath(new URL('../../../docs/features.md', import.meta.url));

const page = readFileSync(FEATURES_PAGE, 'utf8');
const files: readonly (readonly [name: string, path: string, text: string])[] = [
  ['model/model.schema.json', SCHEMA_FILE, manifestJsonSchema()],
  ['docs/features.md', FEATURES_PAGE, withKinds(page)],
];

for (const [name, path, text] of files) {
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${name} is not up to date\nrun: npm run generate`);
    process.exitCode = 1;
  }
}
