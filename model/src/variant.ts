/** live: resolved by the registry. canary, shadow: chosen by a rollout. pinned: named by the caller. */
export type Variant = 'live' | 'canary' | 'shadow' | 'pinned';
