import type { FailureMessage } from './status.ts';

/** A message that the client numbers. The other fields are the contract's own. */
export interface ItemMessage {
  sequence?: number;
}

/** An answer: either a result or a failure. */
export interface ReplyMessage {
  sequence: number;
  failure?: FailureMessage | null;
}

/** Client to server: many items, and the sequences of earlier items whose caller cancelled. */
export interface Frame<Item> {
  items?: Item[];
  cancelled?: number[];
}

/** Server to client: many answers, in any order, matched by sequence. */
export interface ReplyFrame<Reply> {
  items: Reply[];
  /** The server accepts no more items on this stream. */
  draining?: boolean;
}

/** A frame of replies as it is written. */
export interface WrittenFrame<Reply> {
  items?: (Reply & { sequence?: number })[];
  draining?: boolean;
}
