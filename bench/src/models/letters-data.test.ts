import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readLettersData } from './letters-data.ts';

const root = await mkdtemp(join(tmpdir(), 'hotloop-letters-'));
afterAll(() => rm(root, { recursive: true, force: true }));

describe('the letters of banking77', () => {
  it('are read from their folder, or from the one that holds it', async () => {
    const folder = join(root, 'banking77');
    await mkdir(folder);
    for (const [split, text] of [
      ['train', 'my card is lost'],
      ['test', 'where is my card'],
    ] as const)
      await writeFile(join(folder, `${split}.csv`), `text,category\n${text},lost_card\n`);
    const letters = {
      train: [{ id: 'train-1', text: 'my card is lost', desk: 'lost_card' }],
      test: [{ id: 'test-1', text: 'where is my card', desk: 'lost_card' }],
    };
    expect(await readLettersData(folder)).toEqual(letters);
    expect(await readLettersData(root)).toEqual(letters);
  });

  it('say which folder is needed when they are not there', async () => {
    await expect(readLettersData(join(root, 'none'))).rejects.toThrow(
      'has no train.csv and test.csv: give the folder of banking77 with --data',
    );
  });
});
