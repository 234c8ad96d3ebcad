import { join } from 'node:path';
import { startKillableService } from './killable-service.ts';

export interface ComputeServiceOptions {
  readonly databaseUrl: string;
  /** Contains the store and, unless `data` is set, the journals. */
  readonly folder: string;
  readonly data?: string;
  readonly node: string;
  /** Additional settings, such as TLS. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Compute as it is installed: its own main.ts, its settings in the environment, the registry in Postgres. */
export interface ComputeService extends AsyncDisposable {
  /** The same after every start. */
  readonly address: string;
  /** Kills it, and starts it until it serves; its dependencies may be down meanwhile. */
  crash(): Promise<void>;
}

export async function startComputeService(
  { databaseUrl, folder, node, data, environment }: ComputeServiceOptions,
  signal: AbortSignal,
): Promise<ComputeService> {
  const service = await startKillableService(
    {
      script: 'compute/src/main.ts',
      environment: {
        DATABASE_URL: databaseUrl,
        HOTLOOP_STORE: join(folder, 'store'),
        HOTLOOP_DATA: data ?? join(folder, 'data'),
        HOTLOOP_NODE: node,
        ...environment,
      },
    },
    signal,
  );
  return {
    address: service.address,
    async crash() {
      await service.kill();
      await service.start();
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
