import { z } from 'zod';
import { transformKind } from './transform-kind.ts';

export const multiHot = transformKind({
  name: 'multi_hot',
  schema: z.strictObject({ multi_hot: z.array(z.string()).min(1).max(10_000) }),
  documentation:
    'For a list of texts: one column per category, 1 for every category in the list. Unknown categories are ignored. Must be the last transform.',
  example: '{multi_hot: [Action, Comedy, Drama]}',
  typeBefore: () => 'texts',
  compile({ multi_hot: categories }, before) {
    if (before !== 'texts' && before !== 'text') throw new RangeError('multi_hot needs a list of texts');
    const columnOf = new Map<unknown, number>();
    for (const [column, category] of categories.entries()) {
      if (columnOf.has(category)) throw new RangeError(`multi_hot names ${JSON.stringify(category)} twice`);
      columnOf.set(category, column);
    }
    return {
      stage: 'columns',
      width: categories.length,
      reads: 'raw',
      write(raw, _numbers, index, out, at) {
        const value = raw[index];
        for (const text of Array.isArray(value) ? value : [value]) {
          const column = columnOf.get(text);
          if (column !== undefined) out[at + column] = 1;
        }
        return true;
      },
    };
  },
});
