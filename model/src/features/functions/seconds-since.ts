import { checkPlain, type HistoryFunctionKind } from './function-kind.ts';

export const secondsSinceFunction: HistoryFunctionKind = {
  name: 'seconds_since',
  form: 'seconds_since',
  documentation:
    'Seconds since the newest event; absent when there is none. An event in the future counts as now.',
  state: 'times',
  parse(call) {
    checkPlain(call, 'seconds_since');
    return {
      values: 1,
      type: 'number',
      fields: false,
      newestOnly: true,
      summaries: true,
      fold({ times }, count, nowMs, _type, out) {
        if (count > 0) out.push(Math.max(0, nowMs - (times[0] as number)) / 1000);
      },
    };
  },
};
