/** A version that holds memory, or has asked for it. */
export interface Holder<Key> {
  readonly key: Key;
  /** Measured, or what it is expected to take while it loads. */
  readonly bytes: number;
  /** False while it loads, or has work. */
  readonly isIdle: boolean;
  /** Milliseconds on the monotonic clock. */
  readonly lastUsedAt: number;
  /** Higher goes later: what nobody wants 0, previous versions 1, live ones 2, a version that is to become live 3. */
  readonly worth: number;
}

export type Room<Key> =
  /** Load now, once these have ended. */
  | { readonly kind: 'room'; readonly evict: readonly Key[] }
  /** All that could make room is busy; ask again soon. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'none' };

export interface Claim {
  readonly bytes: number;
  readonly budgetBytes: number;
  /** What is worth less than this may be ended for it, whenever it was used. */
  readonly worth: number;
  /** True when somebody waits for it: then what is worth as much may go too, least recently used first. */
  readonly isDemanded: boolean;
}

/**
 * Decides who must end so that a version can be loaded within the node's budget. A version that nobody waits for yet
 * takes only free room, or that of what is worth less; one that is waited for also takes that of its equals. Less worth goes
 * first, then the least recently used. A version larger than the whole budget is loaded when it is all alone.
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

/** Memory of a runner's own before it has a model. Measured: 30 MiB. */
const RUNNER_BYTES = 40 * 1024 ** 2;
/**
 * Copies of a model's file while it is loaded: the bytes as they were received, parsed, and laid out for running. The
 * first goes when it has loaded. Measured on files of 20, 50 and 100 MB: 3.0.
 */
const LOADING_COPIES = 3.1;

/** The most that a version takes until it is ready: more than afterwards, which is what can be measured. */
export function loadingBytes(onnxBytes: number, instances: number): number {
  return instances * (RUNNER_BYTES + LOADING_COPIES * onnxBytes);
}
