import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { DIFFERENTIABLE } from './gradient-rules.ts';

it('names in docs/training.md exactly the operators that have a gradient rule', async () => {
  const text = await readFile(new URL('../../../../docs/training.md', import.meta.url), 'utf8');
  const listed = text.split('<!-- operators: begin -->')[1]?.split('<!-- operators: end -->')[0] ?? '';
  expect(listed.match(/\w+/g)).toEqual([...DIFFERENTIABLE]);
});
