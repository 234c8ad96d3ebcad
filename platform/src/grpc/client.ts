import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import type { TlsIdentity } from '../tls/tls-identity.ts';

export interface ChannelSettings {
  /** Sent with every call as `authorization: Bearer KEY`. */
  readonly apiKey?: string;
  /** Largest message in either direction; default 64 MiB. */
  readonly maxMessageBytes?: number;
  /** Keepalive interval, and the time limit for the peer's answer; default 1 s each. */
  readonly keepaliveMs?: number;
  /** Uses a separate TCP connection instead of one that is shared with other channels to the same address. */
  readonly ownConnection?: boolean;
  /** Without it the connection is not encrypted. */
  readonly tls?: TlsIdentity | undefined;
}

/**
 * The arguments of a generated client's constructor: `new Client(channel.address, channel.credentials,
 * channel.options)`.
 */
export interface ChannelParts {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
  /** Metadata of one call, including the API key if there is one. */
  metadata(): Metadata;
}

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const DEFAULT_KEEPALIVE_MS = 1000;
const WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Settings of a channel; the connection opens with the first call. Several comma-separated addresses are used round
 * robin.
 */
export function openChannel(address: string, settings: ChannelSettings = {}): ChannelParts {
  const maxBytes = settings.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const keepaliveMs = settings.keepaliveMs ?? DEFAULT_KEEPALIVE_MS;
  return {
    address: targetOf(address),
    credentials: settings.tls ? settings.tls.channelCredentials() : credentials.createInsecure(),
    options: {
      'grpc.max_receive_message_length': maxBytes,
      'grpc.max_send_message_length': maxBytes,
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': keepaliveMs,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 2000,
      'grpc-node.flow_control_window': WINDOW_BYTES,
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      ...(settings.ownConnection ? { 'grpc.use_local_subchannel_pool': 1 } : {}),
    },
    metadata() {
      const metadata = new Metadata();
      if (settings.apiKey !== undefined) metadata.set('authorization', `Bearer ${settings.apiKey}`);
      return metadata;
    },
  };
}

function targetOf(address: string): string {
  return /^\d+\.\d+\.\d+\.\d+:\d+(,|$)/.test(address) ? `ipv4:${address}` : address;
}

/** Options of one call, with a deadline. */
export function withDeadline(timeoutMs: number): CallOptions {
  return { deadline: Date.now() + timeoutMs };
}
