import type { Tallies } from '../telemetry/tallies.ts';
import type { Journal } from './journal.ts';
import type { ThreadShipper } from './ship-thread.ts';

/** Backlog and lag of a journal, read at each scrape. Call the returned function when it closes. */
export function measureJournal<Row>(
  tallies: Tallies,
  which: string,
  journal: Journal<Row>,
  shipper: ThreadShipper,
): () => void {
  const labels = ['hotloop.journal'];
  const family = (name: string, description: string, unit: string) =>
    tallies.gauge({ name, description, unit, labels });
  const ends = [
    family('hotloop.journal.fullness', 'Bytes waiting to be shipped, as a share of the limit', '1').observe(
      () => [[[which], journal.fullness()]],
    ),
    family('hotloop.journal.size', 'Bytes on disk', 'By').observe(() => [[[which], journal.bytes()]]),
    family('hotloop.journal.lag', 'How long the oldest row has waited to be shipped', 's').observe(() => [
      [[which], shipper.lagMs() / 1000],
    ]),
    family('hotloop.journal.shipped', 'Rows stored in Postgres since the start', '{row}').observe(() => [
      [[which], shipper.counts().shipped],
    ]),
    family('hotloop.journal.refused', 'Rows that Postgres rejected since the start', '{row}').observe(() => [
      [[which], shipper.counts().refused],
    ]),
  ];
  return () => {
    for (const end of ends) end();
  };
}
