import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import { contextOf } from '../../grpc/call-context.ts';
import type { ItemContext } from '../../grpc/item-context.ts';
import { DeadlineWheel } from '../deadline-wheel.ts';
import type { Frame, ItemMessage, WrittenFrame } from '../frame.ts';
import { ASSUMED_ITEM_BYTES, DEFAULT_FRAME_LIMITS } from '../frame-writer.ts';
import { ServedStream } from './served-stream.ts';

export interface FramedHandlerOptions<Item extends ItemMessage, Reply extends object> {
  /** Answers one item; the sequence is set by the server. An error fails only this item. */
  handle(item: Item, context: ItemContext): Promise<Reply>;
  /** Remaining milliseconds according to the item; 0 or less selects the default. */
  timeoutMsOf(item: Item): number;
  /** Default and upper limit of an item's timeout; 60,000 if not set. */
  readonly maxTimeoutMs?: number;
  readonly defaultTimeoutMs?: number;
  /** Approximate size of a reply in bytes, for the limit of a frame; default 512. */
  readonly sizeOf?: (reply: Reply) => number;
  /** Items that run at the same time on one stream; more wait, in order. Default 1024. */
  readonly maxRunning?: number;
  /** Items that wait on one stream; beyond it they are rejected with RESOURCE_EXHAUSTED. Default 8192. */
  readonly maxWaiting?: number;
  readonly maxFrameItems?: number;
  readonly maxFrameBytes?: number;
  /**
   * Age at which the client is asked to open another stream, so that load reaches new replicas; a tenth of it is
   * jitter. Default 1 minute; 0 turns it off.
   */
  readonly maxStreamAgeMs?: number;
}

/**
 * The server side of FramedClient, as a handler of a bidirectional stream. Sends headers at once, so that the client
 * knows that the stream is open. An item that expires or is cancelled before it starts never runs. When the stream
 * dies, the signals of all running handlers fire. When the server drains, the client is asked to connect elsewhere,
 * and the stream ends with its last answer.
 */
export function framedHandler<Item extends ItemMessage, Reply extends object>(
  options: FramedHandlerOptions<Item, Reply>,
): handleBidiStreamingCall<Frame<Item>, WrittenFrame<Reply>> {
  const settings = {
    handle: options.handle,
    timeoutMsOf: options.timeoutMsOf,
    defaultTimeoutMs: options.defaultTimeoutMs ?? 10_000,
    maxTimeoutMs: options.maxTimeoutMs ?? 60_000,
    sizeOf: options.sizeOf ?? (() => ASSUMED_ITEM_BYTES),
    maxRunning: options.maxRunning ?? 1024,
    maxWaiting: options.maxWaiting ?? 8192,
    limits: {
      maxItems: options.maxFrameItems ?? DEFAULT_FRAME_LIMITS.maxItems,
      maxBytes: options.maxFrameBytes ?? DEFAULT_FRAME_LIMITS.maxBytes,
    },
    maxStreamAgeMs: options.maxStreamAgeMs ?? 60_000,
    wheel: new DeadlineWheel(),
  };
  return (call) => {
    const context = contextOf(call);
    call.sendMetadata(new Metadata());
    new ServedStream<Item, Reply>(call, context, settings).start();
  };
}
