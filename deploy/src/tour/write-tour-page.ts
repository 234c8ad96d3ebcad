import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TOUR_STEPS } from './tour-steps.ts';

const PAGE = fileURLToPath(new URL('../../../docs/tour.md', import.meta.url));
const BEGIN = '<!-- steps: written by `npm run generate` -->';
const END = '<!-- end of steps -->';

/**
 * The page with a row for each step of the tour. Throws RangeError when the markers are missing or a name is used
 * twice.
 */
function withSteps(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new RangeError(`docs/tour.md lacks ${BEGIN} or ${END}`);
  const names = TOUR_STEPS.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new RangeError(`two steps of the tour are called ${twice}`);
  const rows = TOUR_STEPS.map(({ name, about }) => `| \`${name}\` | ${about.replaceAll('|', '\\|')} |`);
  return `${before}${BEGIN}\n\n| step | what it shows |\n|---|---|\n${rows.join('\n')}\n\n${END}${after}`;
}

const page = readFileSync(PAGE, 'utf8');
const text = withSteps(page);
if (!process.argv.includes('--check')) writeFileSync(PAGE, text);
else if (page !== text) {
  console.error('docs/tour.md is not current\nrun: npm run generate');
  process.exitCode = 1;
}
