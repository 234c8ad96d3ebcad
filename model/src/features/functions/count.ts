import { checkPlain, type HistoryFunctionKind } from './function-kind.ts';

export const countFunction: HistoryFunctionKind = {
  name: 'count',
  form: 'count',
  documentation: 'Number of events; 0 when there are none.',
  state: 'times',
  parse(call) {
    checkPlain(call, 'count');
    return {
      values: 1,
      type: 'number',
      fields: false,
      newestOnly: false,
      summaries: true,
      fold(events, _nowMs, _type, out) {
        let count = 0;
        for (const { summary } of events) count += summary === undefined ? 1 : summary.count;
        out.push(count);
      },
    };
  },
};
