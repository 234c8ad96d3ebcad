import { z } from '@hotloop/platform/config.ts';
import type { Listen } from '@hotloop/platform/start-up/settings.ts';

export const SERVICE_NAMES = ['preprocessor', 'compute', 'postprocessor', 'retrainer'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** The addresses of all services of one process. */
export type SingleListen = Readonly<Record<ServiceName, Listen>>;

const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;

/** `preprocessor=GRPC/HTTP,compute=GRPC/HTTP,...`, each address host:port. */
export function formatSingleListen(listen: SingleListen): string {
  return SERVICE_NAMES.map((name) => `${name}=${listen[name].grpc}/${listen[name].http}`).join(',');
}

export const singleListenSchema = z.string().transform((text, context): SingleListen => {
  const found: Partial<Record<ServiceName, Listen>> = {};
  for (const part of text.split(',')) {
    const [name, addresses = ''] = part.trim().split('=');
    const [grpc = '', http = ''] = addresses.split('/');
    const known = SERVICE_NAMES.find((candidate) => candidate === name);
    if (known !== undefined && ADDRESS.test(grpc) && ADDRESS.test(http)) found[known] = { grpc, http };
  }
  const { preprocessor, compute, postprocessor, retrainer } = found;
  if (preprocessor && compute && postprocessor && retrainer)
    return { preprocessor, compute, postprocessor, retrainer };
  context.addIssue({
    code: 'custom',
    message: `must name each of ${SERVICE_NAMES.join(', ')} as NAME=GRPC-ADDRESS/HTTP-ADDRESS`,
  });
  return z.NEVER;
});
