import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { manifestJsonSchema } from './manifest-json-schema.ts';

const SCHEMA_FILE = fileURLToPath(new URL('../../model.schema.json', import.meta.url));

if (!process.argv.includes('--check')) writeFileSync(SCHEMA_FILE, manifestJsonSchema());
else if (readFileSync(SCHEMA_FILE, 'utf8') !== manifestJsonSchema()) {
  console.error('model/model.schema.json is not current\nrun: npm run generate');
  process.exitCode = 1;
}
