import type { AttributeValue } from '@hotloop/model/value.ts';
import { z } from 'zod';

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const nameSchema = z.string().regex(NAME, 'must be letters, digits and _, at most 63');
const MAX_TEXT = 4096;
/** What a decoder puts in the place of bytes that are not UTF-8. */
const REPLACED = '\ufffd';
const NOT_UTF8 = 'contains bytes that are not UTF-8, or the replacement character U+FFFD';

const columnSchema = z.strictObject({
  type: z.enum(['number', 'text', 'flag']),
  range: z.tuple([z.number(), z.number()]).optional().describe('Smallest and largest number'),
  allowed: z.array(z.string()).min(1).max(10_000).optional().describe('The texts that may occur'),
  optional: z.boolean().default(false).describe('Whether a row may leave it empty'),
});

/** The schema that a table's rows must match. */
export const tableSchema = z.strictObject({
  key: nameSchema.describe('The column with the id of the entity; not one of columns'),
  columns: z.record(nameSchema, columnSchema),
});

export type TableSchema = z.output<typeof tableSchema>;
export const tableName = z.string().regex(NAME, 'must be letters, digits and _, at most 63');

export interface TableRow {
  readonly key: string;
  readonly fields: Readonly<Record<string, AttributeValue>>;
}

/**
 * Validates one row. Values have types of their own, or are texts that are read as the column's type (`asTexts`: CSV). Returns the row, or the problem with the column's name.
 * Columns that the schema does not name are dropped.
 */
export function checkRow(
  schema: TableSchema,
  values: Readonly<Record<string, unknown>>,
  asTexts: boolean,
): TableRow | string {
  const key = values[schema.key];
  const keyText = typeof key === 'number' || typeof key === 'bigint' ? String(key) : key;
  if (typeof keyText !== 'string' || keyText === '' || keyText.length > 256)
    return `${schema.key}: the key must have 1 to 256 characters`;
  if (keyText.includes('\0')) return `${schema.key}: contains a NUL character`;
  if (keyText.includes(REPLACED) || !keyText.isWellFormed()) return `${schema.key}: ${NOT_UTF8}`;
  const fields: Record<string, AttributeValue> = Object.create(null);
  for (const [name, column] of Object.entries(schema.columns)) {
    const value = values[name];
    if (value === undefined || value === null || value === '') {
      if (!column.optional) return `${name}: is missing`;
      continue;
    }
    if (!asTexts && column.type !== 'text' && typeof value === 'string')
      return `${name}: the text ${shown(value)} is not a ${column.type}; write it without quotes`;
    const read = READ[column.type](value);
    if (read === undefined) return `${name}: ${shown(value)} is not a ${column.type}`;
    if (typeof read === 'number' && column.range && (read < column.range[0] || read > column.range[1]))
      return `${name}: ${read} is outside ${column.range[0]} to ${column.range[1]}`;
    if (typeof read === 'string') {
      if (read.includes('\0')) return `${name}: contains a NUL character`;
      if (read.includes(REPLACED) || !read.isWellFormed()) return `${name}: ${NOT_UTF8}`;
      if (read.length > MAX_TEXT) return `${name}: has more than ${MAX_TEXT} characters`;
      if (column.allowed && !column.allowed.includes(read)) return `${name}: ${shown(read)} is not allowed`;
    }
    fields[name] = read;
  }
  return { key: keyText, fields };
}

const READ: Readonly<Record<'number' | 'text' | 'flag', (value: unknown) => AttributeValue | undefined>> = {
  number: (value) => {
    const text = typeof value === 'string' ? value.trim() : undefined;
    const number = text === undefined ? Number(value) : text === '' ? Number.NaN : Number(text);
    if (typeof value === 'boolean' || typeof value === 'object') return undefined;
    return Number.isFinite(number) ? number : undefined;
  },
  text: (value) => (typeof value === 'string' ? value : undefined),
  flag: (value) => {
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === '1') return true;
    return value === 'false' || value === '0' ? false : undefined;
  },
};

function shown(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 40));
}
