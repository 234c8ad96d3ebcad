/** A version that uses memory, or has reserved it. */
export interface Holder<Key> {
  readonly key: Key;
  /** Measured, or estimated while it loads. */
  readonly bytes: number;
  /** False while it loads or has work. */
  readonly isIdle: boolean;
  /** Milliseconds on the monotonic clock. */
  readonly lastUsedAt: number;
  /**
   * Versions with a higher value are evicted later: 0 without a role, 1 previous, 2 live, 3 a version that is being
   * promoted.
   */
  readonly worth: number;
}

export type Room<Key> =
  /** Load once these have ended. */
  | { readonly kind: 'room'; readonly evict: readonly Key[] }
  /** Everything that could be evicted is busy; try again soon. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'none' };

export interface Claim {
  readonly bytes: number;
  readonly budgetBytes: number;
  /** Versions worth less than this may be evicted for it, whenever they were last used. */
  readonly worth: number;
  /**
   * True when a request waits for it: then versions of the same worth may be evicted too, least recently used first.
   */
  readonly isDemanded: boolean;
}

/**
 * Decides which versions are evicted so that another can be loaded within the node's budget. A version that no
 * request waits for takes free memory, or that of versions of lower worth; one that a request waits for also takes
 * that of equal worth. Lower worth is evicted first, then the least recently used. A version larger than the whole
 * budget is loaded when it is alone.
 */
export function makeRoom<Key>(holders: readonly Holder<Key>[], claim: Claim): Room<Key> {
  let used = holders.reduce((total, holder) => total + holder.bytes, 0);
  const fits = () => used + claim.bytes <= claim.budgetBytes || used === 0;
  if (fits()) return { kind: 'room', evict: [] };
  const eligible = holders
    .filter((holder) => holder.worth < claim.worth || (claim.isDemanded && holder.worth <= claim.worth))
    .sort((a, b) => a.worth - b.worth || a.lastUsedAt - b.lastUsedAt);
  const evict: Key[] = [];
  for (const holder of eligible) {
    if (!holder.isIdle) continue;
    evict.push(holder.key);
    used -= holder.bytes;
    if (fits()) return { kind: 'room', evict };
  }
  return eligible.some((holder) => !holder.isIdle) ? { kind: 'wait' } : { kind: 'none' };
}

/** Private memory of a runner without a model. Measured: 30 MiB. */
const RUNNER_BYTES = 40 * 1024 ** 2;
/**
 * Copies of a model's file while it is loaded: the received bytes, the parsed model, and the form used for execution.
 * The first is freed after loading. Measured on files of 20, 50 and 100 MB: 3.0.
 */
const LOADING_COPIES = 3.1;

/** Peak memory of a version while it loads: more than what can be measured afterwards. */
export function loadingBytes(onnxBytes: number, instances: number): number {
  return instances * (RUNNER_BYTES + LOADING_COPIES * onnxBytes);
}
