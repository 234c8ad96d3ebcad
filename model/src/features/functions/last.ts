import { LAST_EVENTS } from '../history.ts';
import { isOfType } from '../raw-value.ts';
import type { HistoryFunctionKind } from './function-kind.ts';

const FORM = 'last(N).FIELD';

export const lastFunction: HistoryFunctionKind = {
  name: 'last',
  form: FORM,
  documentation:
    'The field of the newest N events (1 to 999) that have it, newest first: N values, each with its own columns. Missing values are replaced by `missing`.',
  state: 'events',
  parse(call) {
    const [head, tail] = call;
    const count = head?.arguments?.length === 1 ? head.arguments[0] : undefined;
    if (call.length !== 2 || count === undefined || !/^[1-9][0-9]{0,2}$/.test(count) || tail?.arguments)
      throw new RangeError(`must be written ${FORM}, N from 1 to 999`);
    const field = tail?.name as string;
    const values = Number(count);
    return {
      values,
      type: undefined,
      fields: true,
      newestOnly: false,
      summaries: false,
      most: Math.max(values, LAST_EVENTS),
      fold(list, count, _nowMs, type, out) {
        for (let index = 0; index < count; index++) {
          const value = list.event(index).fields[field];
          if (!isOfType(value, type)) continue;
          if (out.push(value) === values) return;
        }
      },
    };
  },
};
