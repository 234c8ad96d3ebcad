import { describe, expect, it } from 'vitest';
import { parseManifest } from './parse-manifest.ts';
import { replaceGolden } from './replace-golden.ts';

const EXAMPLES = [
  {
    inputs: {
      x: [
        [1.5, -1e-7],
        [0, 1e20],
      ],
    },
    outputs: { p: [[0.1], [Math.fround(0.2)]] },
  },
];
const PLAIN = 'name: m # ours\nfeatures:\n  - {name: f, from: request.f}\n# the end\n';
const FLOW = '{name: m, features: [{name: f, from: request.f}]}';
const DECLARED = `name: m
golden:
  relative: 0.5 # wide
  examples:
    - {inputs: {x: [[9, 9]]}, outputs: {p: [[9]]}}
features:
  - {name: f, from: request.f}
`;

describe('replacing golden examples', () => {
  it.each([
    ['where there are none', PLAIN],
    ['in one line', FLOW],
    ['where others are', DECLARED],
    ['next to only a tolerance', `${PLAIN}golden: {absolute: 0.25}\n`],
    ['in a document with markers', `---\n${PLAIN}...\n`],
  ])('changes nothing else: %s', (_, yaml) => {
    const before = parseManifest(yaml);
    const after = parseManifest(replaceGolden(yaml, EXAMPLES));
    expect(after).toEqual({ ...before, golden: { ...before.golden, examples: EXAMPLES } });
    // Replacing again gives the same text, so the text does not change with each retraining.
    const once = replaceGolden(yaml, EXAMPLES);
    expect(replaceGolden(once, EXAMPLES)).toBe(once);
  });

  it('keeps comments and long lines unchanged', () => {
    const long = `description: ${'many words '.repeat(30)}end # and a remark ${'of some length '.repeat(10)}end`;
    expect(replaceGolden(`${PLAIN}${long}\n`, EXAMPLES)).toContain(long);
    const text = replaceGolden(PLAIN, EXAMPLES);
    for (const comment of ['# ours', '# the end']) expect(text).toContain(comment);
    expect(replaceGolden(DECLARED, EXAMPLES)).toContain('# wide');
  });

  it('removes the old ones when there are no new ones, and leaves a text without any unchanged', () => {
    expect(parseManifest(replaceGolden(DECLARED, [])).golden).toEqual({ relative: 0.5, examples: [] });
    expect(replaceGolden(PLAIN, [])).toBe(PLAIN);
  });

  it.each([
    ['an anchor in them that is used elsewhere', 'name: m\ngolden: {examples: [&a 1]}\nmore: *a\n'],
    ['a golden that is itself an alias', 'name: m\nmore: &a {relative: 1}\ngolden: *a\n'],
  ])('rejects %s, and says what to do', (_, yaml) => {
    expect(() => replaceGolden(yaml, EXAMPLES)).toThrow(/shares an anchor with other fields; write it out/);
  });
});
