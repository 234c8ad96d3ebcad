import { cpus } from 'node:os';

/**
 * Share of the processors' time that is taken, by whomever, above which shipping steps back. It does so long before none is left: at half
 * load, rows shipped as they come cost the tails of answers that are not shipped at all.
 */
const BUSY = 0.35;
/** From there on one in two processors is taken, and whoever answers finds the other one shared. */
const TAKEN = 0.5;
/** From there on no time is left that nobody else wants. */
const FULL = 0.95;
/** Share of the journal's bound above which shipping no longer does. */
export const URGENT = 0.25;
/** On a machine that is half taken, while nothing waits, shipping takes one part of the time and leaves so many to others. */
const REST_PARTS = 30;
/** On a full one, whatever shipping takes is taken from answers. */
const MOST_REST_PARTS = 90;
const MAX_REST_MS = 3_000;
/** Of the largest shipment, which takes a tenth of a second of Postgres, so much is shipped at once then: six milliseconds. */
const SMALLEST_PART = 1 / 16;
/** How long to look at the machine after a shipment: the system counts its processors' time in steps of ten milliseconds. */
export const LOOK_MS = 50;

/** What counts for the pace, each from 0 to 1. */
export interface Pressure {
  /** How busy the machine is while nothing is shipped here. */
  readonly busy: number;
  /** How full the journal is. */
  readonly backlog: number;
}

export interface Pace {
  /** The part of the largest shipment that the next one may have. */
  readonly part: number;
  /** How long to rest after a shipment that took so long. */
  restMs(shipmentMs: number): number;
}

/**
 * Whoever waits for an answer goes before whoever reads the log: on a busy machine shipping takes a small part of the time, in
 * small shipments, less of it the busier the machine, more the more waits, and all once a quarter of what may wait does.
 */
export function paceOf({ busy, backlog }: Pressure): Pace {
  const taken = ramp(busy, BUSY, TAKEN);
  const urged = ramp(backlog, 0, URGENT);
  const parts = REST_PARTS * taken + (MOST_REST_PARTS - REST_PARTS) * ramp(busy, TAKEN, FULL);
  return {
    part: 1 - (1 - SMALLEST_PART) * taken * (1 - urged),
    restMs: (shipmentMs) => Math.min(MAX_REST_MS, shipmentMs * parts * (1 - urged)),
  };
}

/** From 0 to 1 between two values. */
function ramp(value: number, from: number, to: number): number {
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** Gives the share of the processors' time that was taken since the last call; 0 where the system does not tell. */
export function busyMeter(read: () => readonly { times: Record<string, number> }[] = cpus): () => number {
  let last = totals(read());
  return () => {
    const now = totals(read());
    const all = now.all - last.all;
    const idle = now.idle - last.idle;
    last = now;
    return all > 0 ? Math.max(0, 1 - idle / all) : 0;
  };
}

function totals(processors: readonly { times: Record<string, number> }[]): { all: number; idle: number } {
  let all = 0;
  let idle = 0;
  for (const { times } of processors) {
    for (const time of Object.values(times)) all += time;
    idle += times.idle ?? 0;
  }
  return { all, idle };
}
