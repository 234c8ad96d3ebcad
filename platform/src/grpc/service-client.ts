import { type Client, makeClientConstructor } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import type { ChannelParts } from './client.ts';

/**
 * A client of one service, with its generated types: `openServiceClient<FooClient>(channel, definitions,
 * 'hotloop.v1.Foo')`. The connection opens with the first call. Throws RangeError for a service without definition.
 */
export function openServiceClient<T extends Client>(
  channel: ChannelParts,
  definitions: PackageDefinition,
  service: string,
): T {
  const definition = definitions[service];
  if (definition === undefined || 'format' in definition) throw new RangeError(`no service ${service}`);
  const Constructor = makeClientConstructor(definition, service);
  return new Constructor(channel.address, channel.credentials, channel.options) as unknown as T;
}
