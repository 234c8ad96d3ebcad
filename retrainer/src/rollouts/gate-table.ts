import type { GateVerdict } from '../improve/gate.ts';

/** What a gate found, as a small table for people. Pure. */
export function gateTable(gate: GateVerdict): string {
  const text = (value: number | null) => (value === null ? 'undefined' : value.toFixed(4));
  return [
    'metric      candidate  live       improvement  examples',
    [
      gate.metric.padEnd(10),
      text(gate.candidate).padEnd(9),
      text(gate.live).padEnd(9),
      text(gate.improvement).padEnd(11),
      String(gate.examples),
    ].join('  '),
    gate.message,
  ].join('\n');
}
