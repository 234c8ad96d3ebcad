/** A step that did not do what the product promises. */
export class TourFailure extends Error {
  override readonly name = 'TourFailure';

  constructor(expected: string, happened: string) {
    super(`expected ${expected}; ${happened}`);
  }
}

/** Throws TourFailure unless the condition holds. */
export function expectThat(condition: boolean, expected: string, happened: string): asserts condition {
  if (!condition) throw new TourFailure(expected, happened);
}
