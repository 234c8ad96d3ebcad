import type { ChannelSettings } from '@hotloop/platform/grpc/client.ts';

/** A service that the preprocessor calls. */
export interface PeerOptions {
  /** host:port; several comma-separated addresses are used round robin. */
  readonly address: string;
  readonly channel?: ChannelSettings;
  /** Number of streams over which the calls are distributed. */
  readonly streams?: number;
  readonly maxInFlight?: number;
}
