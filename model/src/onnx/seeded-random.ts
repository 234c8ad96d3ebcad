/**
 * A small random generator whose sequence depends only on its seed: the same weights, shuffles and splits on every
 * machine. The generator is sfc32 (Chris Doty-Humphrey, PractRand); not for secrets.
 */
export class SeededRandom {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /** @param seed any number; the low 64 bits of its integer part are used. */
  constructor(seed: number) {
    const whole = BigInt.asUintN(64, BigInt(Math.trunc(seed)));
    this.#a = Number(whole & 0xffffffffn) | 0;
    this.#b = Number(whole >> 32n) | 0;
    this.#c = 0x9e3779b9 | 0;
    // The first words still resemble the seed.
    for (let i = 0; i < 16; i++) this.#next32();
  }

  /** The current state, for {@link SeededRandom.resume}. */
  get state(): readonly [number, number, number, number] {
    return [this.#a, this.#b, this.#c, this.#counter];
  }

  /** Continues from a state. */
  resume([a = 0, b = 0, c = 0, counter = 0]: readonly number[]): void {
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#counter = counter;
  }

  #next32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** @returns a number in [0, 1). */
  uniform(): number {
    return this.#next32() / 2 ** 32;
  }

  /** @returns an integer in [0, limit). */
  integer(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** @returns a sample of the normal distribution with mean 0 and variance 1 (Box and Muller, 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles in place (Fisher-Yates); every order is equally likely. */
  shuffle(values: Int32Array | Uint32Array | unknown[]): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = values[i]!;
      (values as unknown[])[i] = values[j]!;
      (values as unknown[])[j] = kept;
    }
  }
}
