import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { settingsMarkdown } from './settings-markdown.ts';

const PAGE = fileURLToPath(new URL('../../../docs/settings.md', import.meta.url));
const BEGIN = '<!-- settings: written by `npm run generate` -->';

const page = readFileSync(PAGE, 'utf8');
const text = `${page.slice(0, page.indexOf(BEGIN))}${BEGIN}\n\n${settingsMarkdown()}`;
if (!process.argv.includes('--check')) writeFileSync(PAGE, text);
else if (page !== text) {
  console.error('docs/settings.md is not current\nrun: npm run generate');
  process.exitCode = 1;
}
