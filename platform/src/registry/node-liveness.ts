/**
 * A node that has not reported for this long counts as dead: promotions do not wait for it. Nodes report every two
 * seconds.
 */
export const NODE_ALIVE_SECONDS = 10;
