import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { HealthImplementation, service } from 'grpc-health-check';

export interface Health {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
  /** '' sets every name except liveness. */
  set(name: string, serving: boolean): void;
  /** Sets everything except liveness to not serving, notifies watchers and ends them. */
  drain(): void;
}

interface WatchCall {
  on(event: 'cancelled' | 'close', listener: () => void): unknown;
  end(): void;
}

/** grpc.health.v1 for '', liveness, readiness and each service. All except liveness start as not serving. */
export function createHealth(services: readonly string[]): Health {
  const all = ['', 'readiness', ...services];
  const library = new HealthImplementation({
    liveness: 'SERVING',
    ...Object.fromEntries(all.map((name) => [name, 'NOT_SERVING' as const])),
  });
  const handlers = handlersOf(library);
  const watchers = new Set<WatchCall>();
  let draining = false;
  const watch = handlers.watch as unknown as (call: WatchCall) => void;
  const set = (name: string, serving: boolean) => {
    if (draining && serving) return;
    const names = name === '' ? all : [name];
    for (const each of names) {
      if (each !== 'liveness' && !all.includes(each))
        throw new HotloopError('INVALID_ARGUMENT', `${each} is not a served service`);
      library.setStatus(each, serving ? 'SERVING' : 'NOT_SERVING');
    }
  };
  return {
    definition: service as unknown as ServiceDefinition,
    handlers: {
      ...handlers,
      watch: (call: WatchCall) => {
        watchers.add(call);
        call.on('cancelled', () => watchers.delete(call));
        watch(call);
        if (draining) call.end();
      },
    } as unknown as UntypedServiceImplementation,
    set,
    drain() {
      if (draining) return;
      set('', false);
      draining = true;
      // The library never ends a watch, but the server waits for its calls when it drains.
      for (const call of watchers) call.end();
      watchers.clear();
    },
  };
}

/** The library can only add itself to a server; this extracts its handlers. */
function handlersOf(library: HealthImplementation): UntypedServiceImplementation {
  let taken: UntypedServiceImplementation = {};
  const taker = {
    addService(_definition: unknown, handlers: UntypedServiceImplementation) {
      taken = handlers;
    },
  };
  library.addToServer(taker as unknown as Parameters<HealthImplementation['addToServer']>[0]);
  return taken;
}
