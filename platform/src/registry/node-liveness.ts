/** A node that has not reported for so long counts as dead: promotions do not wait for it. Nodes report every second. */
export const NODE_ALIVE_SECONDS = 10;
