import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Letter, readLetters } from '@hotloop/example-documents/letters.ts';

export interface LettersData {
  readonly train: readonly Letter[];
  readonly test: readonly Letter[];
}

/**
 * The letters of banking77.
 *
 * @param folder holds `train.csv` and `test.csv`, or a folder `banking77` with them.
 * @throws RangeError when there are no such files.
 */
export async function readLettersData(folder: string): Promise<LettersData> {
  const found = [folder, join(folder, 'banking77')].find((place) =>
    ['train.csv', 'test.csv'].every((name) => existsSync(join(place, name))),
  );
  if (found === undefined)
    throw new RangeError(`${folder} has no train.csv and test.csv: give the folder of banking77 with --data`);
  const read = async (split: keyof LettersData) =>
    readLetters(await readFile(join(found, `${split}.csv`), 'utf8'), split);
  return { train: await read('train'), test: await read('test') };
}
