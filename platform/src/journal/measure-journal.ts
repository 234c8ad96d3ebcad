import type { Tallies } from '../telemetry/tallies.ts';
import type { Journal } from './journal.ts';
import type { ThreadShipper } from './ship-thread.ts';

/** Backlog and lag of a journal, read at each scrape. Call what is returned when it closes. */
export function measureJournal<Row>(
  tallies: Tallies,
  name: string,
  journal: Journal<Row>,
  shipper: ThreadShipper,
): () => void {
  const labels = ['hotloop.journal'];
  const family = (what: string, description: string, unit: string) =>
    tallies.gauge({ name: `hotloop.journal.${what}`, description, unit, labels });
  const ends = [
    family('fullness', 'Bytes that wait to be shipped, as a share of the bound', '1').observe(() => [
      [[name], journal.fullness()],
    ]),
    family('size', 'Bytes on disk', 'By').observe(() => [[[name], journal.bytes()]]),
    family('lag', 'How long the oldest row has waited to be shipped', 's').observe(() => [
      [[name], shipper.lagMs() / 1000],
    ]),
    family('shipped', 'Rows that reached Postgres since the start', '{row}').observe(() => [
      [[name], shipper.counts().shipped],
    ]),
    family('refused', 'Rows that Postgres refused since the start', '{row}').observe(() => [
      [[name], shipper.counts().refused],
    ]),
  ];
  return () => {
    for (const end of ends) end();
  };
}
