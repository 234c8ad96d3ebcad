// Loaded into a service before anything else (`--import=file:///.../jumping-clock.ts?file=...`): shifts its wall
// clock by the number of milliseconds in the file. The monotonic clock is unchanged.
import { readFileSync } from 'node:fs';

const file = new URL(import.meta.url).searchParams.get('file') ?? '';
const LOOK_MS = 20;
const RightDate = Date;
const right = RightDate.now.bind(RightDate);
let shift = 0;

const look = setInterval(() => {
  try {
    shift = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    shift = 0;
  }
}, LOOK_MS);
look.unref();

class WrongDate extends RightDate {
  constructor(...given: [] | ConstructorParameters<DateConstructor>) {
    if (given.length === 0) super(right() + shift);
    else super(...(given as [number]));
  }
  static override now(): number {
    return right() + shift;
  }
}

globalThis.Date = WrongDate as DateConstructor;
