import { fieldOf, type HistoryFunctionKind } from './function-kind.ts';

const FORM = 'distinct(FIELD)';

export const distinctFunction: HistoryFunctionKind = {
  name: 'distinct',
  form: FORM,
  documentation:
    'Number of different values of a field; texts, numbers and flags are counted separately; 0 when there are no events.',
  state: 'events',
  parse(call) {
    const field = fieldOf(call, FORM);
    const seen = new Set<unknown>();
    return {
      values: 1,
      type: 'number',
      fields: true,
      newestOnly: false,
      summaries: false,
      fold(list, count, _nowMs, _type, out) {
        seen.clear();
        for (let index = 0; index < count; index++) {
          const value = list.event(index).fields[field];
          if (value !== undefined && typeof value !== 'object') seen.add(value);
        }
        out.push(seen.size);
      },
    };
  },
};
