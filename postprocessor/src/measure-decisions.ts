import { DURATION_BOUNDARIES, type Tallies } from '@hotloop/platform/telemetry/tallies.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { Decider } from './decide.ts';

/**
 * Counts decisions by version and code, and measures their duration. Versions come from the registry; unknown ones
 * are rejected and share a label.
 */
export function measureDecisions(decider: Decider, tallies: Tallies): Decider {
  const decisions = tallies.counter({
    name: 'hotloop.decisions',
    description: 'Decisions by version and code',
    unit: '{decision}',
    labels: ['hotloop.model', 'hotloop.version', 'hotloop.code'],
  });
  const durations = tallies.histogram({
    name: 'hotloop.decision.duration',
    description: 'From the raw output to the decision in its journal',
    unit: 's',
    labels: ['hotloop.model', 'hotloop.version'],
    boundaries: DURATION_BOUNDARIES,
  });
  return {
    async decide(item, signal) {
      const startedAt = performance.now();
      try {
        const decision = await decider.decide(item, signal);
        decisions.add(1, item.model, item.version, 'OK');
        durations
          .of(item.model, item.version)
          .record((performance.now() - startedAt) / 1000, item.predictionId);
        return decision;
      } catch (error) {
        const { code } = toHotloopError(error);
        const isUnknown = code === 'NOT_FOUND';
        decisions.add(1, isUnknown ? 'unknown' : item.model, isUnknown ? '' : item.version, code);
        throw error;
      }
    },
    [Symbol.dispose]: () => decider[Symbol.dispose](),
  };
}
