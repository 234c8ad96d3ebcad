import { basename } from 'node:path';
import {
  type InferredManifest,
  inferManifest,
  type TextTable,
} from '@hotloop/model/manifest/infer-manifest.ts';
import { parse } from 'csv-parse/sync';
import { CommandError } from './command-error.ts';

/** Rows of a file that a draft looks at. */
const MOST_ROWS = 100_000;

/** Drafts a model.yaml from a CSV. Throws CommandError for a file that cannot be read as one. */
export function draft(name: string, text: string, file: string, label: string | undefined): InferredManifest {
  const all = readCsv(text, file);
  try {
    return inferManifest(name, all, label);
  } catch (error) {
    if (error instanceof RangeError) throw new CommandError(`${file}: ${error.message}`);
    throw error;
  }
}

function readCsv(text: string, file: string): TextTable {
  try {
    const records = parse(text, { bom: true, skip_empty_lines: true, to_line: MOST_ROWS + 1 }) as string[][];
    const [columns = [], ...rows] = records;
    return { columns, rows };
  } catch (error) {
    throw new CommandError(
      `${file} is no CSV file: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The name of a model for a file: that of the file, in the letters that names may have. */
export function modelName(file: string): string {
  const plain = basename(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^-+/, '');
  return plain.slice(0, 63) || 'model';
}
