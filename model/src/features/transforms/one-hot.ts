import { z } from 'zod';
import { transformKind } from './transform-kind.ts';

type Category = string | number | boolean;

export const oneHot = transformKind({
  name: 'one_hot',
  schema: z.strictObject({
    one_hot: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000),
  }),
  documentation:
    'One column for each category: 1 for the value, 0 for all others. An unknown category leaves every column at 0. Must be the last transform.',
  example: '{one_hot: [new, loyal, lost]}',
  typeBefore({ one_hot: categories }) {
    if (categories.every((category) => typeof category === 'number')) return 'number';
    return categories.every((category) => typeof category === 'boolean') ? 'flag' : 'text';
  },
  compile({ one_hot: categories }, before) {
    if (before === 'texts') throw new RangeError('one_hot takes one text; use multi_hot for a list of texts');
    // A flag is handled as a number, like everything that is not text: true is 1, false is 0.
    const reads = before === 'text' ? 'raw' : 'numbers';
    const columnOf = new Map<unknown, number>();
    for (const [column, category] of categories.entries()) {
      const key = reads === 'raw' ? String(category) : numberOf(category);
      if (columnOf.has(key)) throw new RangeError(`one_hot names ${JSON.stringify(category)} twice`);
      columnOf.set(key, column);
    }
    return {
      stage: 'columns',
      width: categories.length,
      reads,
      write(raw, numbers, index, out, at) {
        const column = columnOf.get(reads === 'raw' ? raw[index] : numbers[index]);
        if (column !== undefined) out[at + column] = 1;
        return true;
      },
    };
  },
});

function numberOf(category: Category): number {
  const number = typeof category === 'string' && category.trim() === '' ? Number.NaN : Number(category);
  if (Number.isNaN(number))
    throw new RangeError(`one_hot category ${JSON.stringify(category)} is not a number; declare type: text`);
  return number;
}
