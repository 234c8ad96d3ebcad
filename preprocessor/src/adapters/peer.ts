import type { ChannelSettings } from '@hotloop/platform/grpc/client.ts';

/** A service that the preprocessor calls. */
export interface PeerOptions {
  /** host:port; several, comma-separated, are used in turn. */
  readonly address: string;
  readonly channel?: ChannelSettings;
  /** Streams over which the calls are spread. */
  readonly streams?: number;
  readonly maxInFlight?: number;
}
