import { HISTORY_FUNCTIONS, SOURCES, TRANSFORMS } from './registry.ts';

export const KINDS_BEGIN = '<!-- kinds: written by `npm run generate` -->';
export const KINDS_END = '<!-- end of kinds -->';

/** All kinds of features as Markdown, from the registry, for docs/features.md. */
export function kindsMarkdown(): string {
  const sources = SOURCES.map(
    ({ forms, documentation, example }) =>
      `| \`${forms.join('`, `')}\` | ${documentation} | \`${example}\` |`,
  );
  const functions = HISTORY_FUNCTIONS.map(({ form, documentation }) => `| \`${form}\` | ${documentation} |`);
  const transforms = TRANSFORMS.map(
    ({ name, documentation, example }) => `| \`${name}\` | ${documentation} | \`${example}\` |`,
  );
  return [
    KINDS_BEGIN,
    '',
    '### Sources (`from`)',
    '',
    '| syntax | result | example |',
    '|---|---|---|',
    ...sources,
    '',
    '### Functions of history',
    '',
    '| syntax | result |',
    '|---|---|',
    ...functions,
    '',
    '### Transforms',
    '',
    '| name | effect | example |',
    '|---|---|---|',
    ...transforms,
    '',
    KINDS_END,
  ].join('\n');
}

/** A document with its generated part replaced. Throws RangeError when it has no such part. */
export function withKinds(document: string): string {
  const [begin, end] = [document.indexOf(KINDS_BEGIN), document.indexOf(KINDS_END)];
  if (begin < 0 || end < begin) throw new RangeError('the document has no part about the kinds of features');
  return document.slice(0, begin) + kindsMarkdown() + document.slice(end + KINDS_END.length);
}
