import { DURATION_BOUNDARIES, type Tallies } from './tallies.ts';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Called for each HTTP request after its answer was sent. */
export type HttpDurations = (method: string, route: string, status: number, seconds: number) => void;

/** The HTTP server metric of OpenTelemetry's semantic conventions. `route` is the template, never the path. */
export function httpDurations(tallies: Tallies): HttpDurations {
  const family = tallies.histogram({
    name: 'http.server.request.duration',
    description: 'Duration of HTTP requests',
    unit: 's',
    labels: ['http.request.method', 'http.route', 'http.response.status_code'],
    boundaries: DURATION_BOUNDARIES,
  });
  return (method, route, status, seconds) =>
    family.record(seconds, METHODS.has(method) ? method : '_OTHER', route, status);
}

/** Called for each gRPC call when it has ended; a stream counts once, with its whole duration. */
export type RpcDurations = (method: string, code: string, seconds: number) => void;

/** The gRPC server metric of OpenTelemetry's semantic conventions. */
export function rpcDurations(tallies: Tallies): RpcDurations {
  const family = tallies.histogram({
    name: 'rpc.server.call.duration',
    description: 'Duration of gRPC calls',
    unit: 's',
    labels: ['rpc.method', 'rpc.response.status_code'],
    boundaries: DURATION_BOUNDARIES,
  });
  return (method, code, seconds) => family.record(seconds, method, code);
}
