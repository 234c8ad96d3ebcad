import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileExpression, type Expression } from '../../expression.ts';
import { durationMs } from '../../manifest/duration.ts';
import { eventList } from '../event-list.ts';
import { FEATURE_STATUS } from '../feature-status.ts';
import type { HistoryFold } from '../functions/function-kind.ts';
import {
  CANDIDATE_EVENTS,
  HISTORY_AGE_MS,
  HISTORY_EVENTS,
  HISTORY_LENGTH,
  type HistoryEvent,
} from '../history.ts';
import { plainName } from '../source-path.ts';
import type { CompiledSource, ParsedSource, SourceFields, SourceKind } from './source-kind.ts';

const FORM = 'history.ENTITY.EVENT.FUNCTION';

export const historySource: SourceKind = {
  name: 'history',
  forms: [FORM],
  documentation:
    'What happened to an entity: a function of its events of one type, newest first, within `window` (without it, as far back as the history goes) and only those for which the CEL expression `where` is true. With `max_age`, the value is stale when the newest event of all is older.',
  example: `{name: big_buys_7d, from: history.user.buy.count, window: 7d, where: 'event.price > 10.0', missing: 0}`,
  takes: ['window', 'max_age', 'where'],
  parse(path, functions): ParsedSource {
    const entity = plainName(path.length >= 3 ? path[0] : undefined, FORM);
    const event = plainName(path[1], FORM);
    const call = path.slice(2);
    const kind = functions.get(call[0]?.name ?? '');
    const known = [...functions.values()].map(({ form }) => form).join(', ');
    if (kind === undefined)
      throw new RangeError(
        `must be ${FORM}, where FUNCTION is one of ${known}; ${call[0]?.name ?? 'nothing'} is none`,
      );
    const fold = kind.parse(call);
    return { kind: 'history', compile: (feature) => compile(entity, event, fold, feature) };
  },
};

function compile(entity: string, event: string, fold: HistoryFold, feature: SourceFields): CompiledSource {
  const windowMs = feature.window === undefined ? Number.POSITIVE_INFINITY : durationMs(feature.window);
  const maxAgeMs = feature.max_age === undefined ? Number.POSITIVE_INFINITY : durationMs(feature.max_age);
  const where = feature.where === undefined ? undefined : compileWhere(feature.where);
  const summaries = fold.summaries && where === undefined;
  const most = (where === undefined ? fold.most : undefined) ?? Number.POSITIVE_INFINITY;
  const events = Math.min(most, entity === 'item' ? CANDIDATE_EVENTS : HISTORY_EVENTS);
  const values: unknown[] = [];
  return {
    kind: 'history',
    type: fold.type,
    values: fold.values,
    perCandidate: entity === 'item',
    history: {
      entity,
      event,
      // Only the newest event of all distinguishes stale from never seen, so with max_age it must be read whatever
      // the window.
      windowMs: maxAgeMs === Number.POSITIVE_INFINITY ? Math.min(windowMs, HISTORY_AGE_MS) : HISTORY_AGE_MS,
      limit: fold.newestOnly && where === undefined ? 1 : summaries ? HISTORY_LENGTH : events,
      events: summaries ? 0 : events,
      edgeMs: windowMs,
      fields: fold.fields || where !== undefined,
    },
    remedy: `name the entity ${entity}`,
    gather({ events, nowMs, type }, rows, { raw, found, absence }) {
      const sinceMs = nowMs - windowMs;
      for (let row = 0; row < rows; row++) {
        found[row] = 0;
        absence[row] = events === null ? FEATURE_STATUS.DEGRADED : FEATURE_STATUS.MISSING;
        const all = events === null ? undefined : events(row);
        if (all === undefined) continue;
        const { times, length } = all;
        if (length > 0 && nowMs - (times[0] as number) > maxAgeMs) {
          absence[row] = FEATURE_STATUS.STALE;
          continue;
        }
        let count = 0;
        while (count < length && (times[count] as number) >= sinceMs) {
          if (!summaries && all.summaries?.[count] !== undefined) break;
          count++;
        }
        values.length = 0;
        if (where === undefined) fold.fold(all, count, nowMs, type, values);
        else {
          const chosen: HistoryEvent[] = [];
          for (let index = 0; index < count; index++) {
            const one = all.event(index);
            if (isTrue(where, event, one)) chosen.push(one);
          }
          fold.fold(eventList(chosen), chosen.length, nowMs, type, values);
        }
        found[row] = values.length;
        for (let index = 0; index < values.length; index++) raw[row * fold.values + index] = values[index];
      }
    },
  };
}

function compileWhere(text: string): Expression {
  try {
    return compileExpression(text, { event: 'record' });
  } catch (error) {
    throw new RangeError(`where: ${error instanceof HotloopError ? error.message : 'it cannot be read'}`);
  }
}

/** An event on which the expression cannot be evaluated, such as one without the field, does not count. */
function isTrue(where: Expression, type: string, { fields }: HistoryEvent): boolean {
  try {
    return where({ event: { ...fields, type } }) === true;
  } catch {
    return false;
  }
}
