import type { PortWish } from './free-address.ts';
import type { LocalPorts } from './start-local.ts';

/** The default ports. */
const USUAL = {
  preprocessor: { grpc: 7400, http: 7480 },
  compute: { grpc: 8001, http: 8000 },
  postprocessor: { grpc: 7402, http: 7482 },
  retrainer: { grpc: 7403, http: 7404 },
} as const;

/** Offset of each port from `--port-base`. */
const OFFSETS = {
  preprocessor: { grpc: 0, http: 1 },
  compute: { grpc: 2, http: 3 },
  postprocessor: { grpc: 4, http: 5 },
  retrainer: { grpc: 6, http: 7 },
} as const;

/** Number of ports that one Hotloop uses, starting at its base. */
export const PORTS_FROM_BASE = 8;

/** The default ports, or those starting at a base, each wrapped by `wish`. */
export function localPorts(wish: (port: number) => PortWish, base?: number): LocalPorts {
  const of = (name: keyof typeof USUAL) => ({
    grpc: wish(base === undefined ? USUAL[name].grpc : base + OFFSETS[name].grpc),
    http: wish(base === undefined ? USUAL[name].http : base + OFFSETS[name].http),
  });
  return {
    preprocessor: of('preprocessor'),
    compute: of('compute'),
    postprocessor: of('postprocessor'),
    retrainer: of('retrainer'),
  };
}
