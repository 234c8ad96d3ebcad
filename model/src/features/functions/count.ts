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
      fold({ summaries }, count, _nowMs, _type, out) {
        let all = count;
        if (summaries !== undefined)
          for (let index = 0; index < count; index++) all += (summaries[index]?.count ?? 1) - 1;
        out.push(all);
      },
    };
  },
};
