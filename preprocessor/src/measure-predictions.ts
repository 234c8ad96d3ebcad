import { DURATION_BOUNDARIES, type Tallies } from '@hotloop/platform/telemetry/tallies.ts';
import { type HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { boundedNames, MOST_CALLERS } from './bounded-names.ts';
import type { History } from './history/history.ts';
import type { Predictor } from './predict.ts';

/**
 * Counts a predictor's answers and measures their duration.
 *
 * @param isModel whether a name is a registered model. Other names come from callers and are not used as labels.
 */
export function measurePredictions(
  predictor: Predictor,
  tallies: Tallies,
  isModel: (name: string) => boolean,
): Predictor {
  const labels = ['hotloop.model', 'hotloop.version', 'hotloop.variant', 'hotloop.code'];
  const predictions = tallies.counter({
    ...{
      name: 'hotloop.predictions',
      description: 'Predictions by version, variant and code',
      unit: '{prediction}',
    },
    labels,
  });
  const degraded = tallies.counter({
    name: 'hotloop.predictions.degraded',
    description: 'Predictions answered without history, reference tables, or their own model',
    unit: '{prediction}',
    labels: ['hotloop.model', 'hotloop.version', 'hotloop.degraded'],
  });
  const durations = tallies.histogram({
    name: 'hotloop.prediction.duration',
    description: 'From the request to the decision',
    unit: 's',
    labels: ['hotloop.model', 'hotloop.version'],
    boundaries: DURATION_BOUNDARIES,
  });
  const refused = tallies.counter({
    name: 'hotloop.predictions.refused',
    description: 'Predictions rejected because of load: overloaded, too_many_in_flight, queue_full',
    unit: '{prediction}',
    labels: ['hotloop.model', 'hotloop.reason'],
  });
  const byCaller = tallies.counter({
    name: 'hotloop.predictions.by_caller',
    description:
      'Predictions by version, variant, caller and code; callers beyond the first fifty are counted as other',
    unit: '{prediction}',
    labels: ['hotloop.model', 'hotloop.version', 'hotloop.variant', 'hotloop.caller', 'hotloop.code'],
  });
  const callers = boundedNames(MOST_CALLERS);
  const inFlight = tallies.gauge({
    name: 'hotloop.predictions.in_flight',
    description: 'Predictions in flight',
    unit: '{prediction}',
    labels: [],
  });
  const failed = (asked: string, caller: string, { code, reason }: HotloopError) => {
    const model = isModel(asked) ? asked : 'unknown';
    predictions.add(1, model, '', '', code);
    byCaller.add(1, model, '', '', callers(caller), code);
    if (REFUSALS.has(reason)) refused.add(1, model, reason);
  };
  const end = inFlight.observe(() => [[[], predictor.inFlight]]);
  return {
    async predict(request, call) {
      const startedAt = performance.now();
      try {
        const answer = await predictor.predict(request, call);
        const { model, version, variant } = answer;
        predictions.add(1, model, version, variant, 'OK');
        byCaller.add(1, model, version, variant, callers(call.caller), 'OK');
        for (const what of answer.degraded) degraded.add(1, model, version, what);
        durations.of(model, version).record((performance.now() - startedAt) / 1000, answer.predictionId);
        return answer;
      } catch (error) {
        failed(request.model, call.caller, toHotloopError(error));
        throw error;
      }
    },
    refusal(asked, call) {
      const refusal = predictor.refusal(asked, call);
      if (refusal) failed(asked, call.caller, refusal);
      return refusal;
    },
    get inFlight() {
      return predictor.inFlight;
    },
    [Symbol.dispose]() {
      end();
      predictor[Symbol.dispose]();
    },
  };
}

const REFUSALS: ReadonlySet<string> = new Set(['overloaded', 'too_many_in_flight', 'queue_full']);

/** A history whose reads are timed. */
export function measureHistory(history: History, tallies: Tallies): History {
  const durations = tallies.histogram({
    name: 'hotloop.history.read.duration',
    description: 'Reads of the history, one per prediction',
    unit: 's',
    labels: ['hotloop.outcome'],
    boundaries: DURATION_BOUNDARIES,
  });
  return {
    append: (entries, nowMs, signal) => history.append(entries, nowMs, signal),
    async read(reads, signal) {
      const startedAt = performance.now();
      try {
        const answers = await history.read(reads, signal);
        durations.record((performance.now() - startedAt) / 1000, 'ok');
        return answers;
      } catch (error) {
        durations.record((performance.now() - startedAt) / 1000, 'failed');
        throw error;
      }
    },
  };
}
