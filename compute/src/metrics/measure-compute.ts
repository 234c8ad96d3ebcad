import type { Journal } from '@hotloop/platform/journal/journal.ts';
import { measureJournal } from '@hotloop/platform/journal/measure-journal.ts';
import type { ThreadShipper } from '@hotloop/platform/journal/ship-thread.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { Tallies } from '@hotloop/platform/telemetry/tallies.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { PredictionRow } from '../prediction-log/prediction-row.ts';
import type { Fleet } from '../slots/fleet.ts';
import { VersionTally } from './version-tally.ts';

/** Counters that compute updates as it works. */
export interface ComputeTallies {
  /** The tally of a version, shared by all its slots over time. */
  tallyOf(record: VersionRecord): VersionTally;
  /** Counts a request that was rejected before it was queued. */
  refused(model: string, error: unknown): void;
}

/** @param isModel whether a name is a registered model. Other names come from callers and are not used as labels. */
export function computeTallies(tallies: Tallies, isModel: (name: string) => boolean): ComputeTallies {
  const byVersion = new Map<string, VersionTally>();
  const refusals = tallies.counter({
    name: 'hotloop.inference.refusals',
    description: 'Requests rejected before the queue: queue full, log full, unknown version, quarantined',
    unit: '{request}',
    labels: ['hotloop.model', 'hotloop.reason'],
  });
  return {
    tallyOf({ model, version }) {
      const key = `${model} ${version}`;
      let tally = byVersion.get(key);
      if (!tally) {
        tally = new VersionTally(tallies, model, version);
        byVersion.set(key, tally);
      }
      return tally;
    },
    refused(model, error) {
      const { code, reason } = toHotloopError(error);
      refusals.add(1, isModel(model) ? model : 'unknown', reason === '' ? code.toLowerCase() : reason);
    },
  };
}

/** Registers the metrics that are read from compute at each scrape. Call the returned function when compute closes. */
export function observeCompute(
  tallies: Tallies,
  fleet: Fleet,
  journal: Journal<PredictionRow>,
  shipper: ThreadShipper,
): () => void {
  const labels = ['hotloop.model', 'hotloop.version'];
  const depth = tallies.gauge({
    ...{ name: 'hotloop.queue.depth', description: 'Requests waiting or running', unit: '{request}', labels },
  });
  const memory = tallies.gauge({
    ...{
      name: 'hotloop.version.memory',
      description: 'Memory of the runners of a version',
      unit: 'By',
      labels,
    },
  });
  const ready = tallies.gauge({
    ...{ name: 'hotloop.version.ready', description: '1 where a version takes work', unit: '1', labels },
  });
  const ends = [
    depth.observe(() =>
      [...fleet.slots()].map(({ record, serving }) => [
        [record.model, record.version],
        serving?.batcher.inFlight ?? 0,
      ]),
    ),
    memory.observe(() =>
      fleet.reports().map(({ model, version, memoryBytes }) => [[model, version], memoryBytes]),
    ),
    ready.observe(() =>
      fleet.reports().map(({ model, version, state }) => [[model, version], state === 'ready' ? 1 : 0]),
    ),
    measureJournal(tallies, 'prediction', journal, shipper),
  ];
  return () => {
    for (const end of ends) end();
  };
}
