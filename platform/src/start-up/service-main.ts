import { type Environment, readConfig, z } from '../config.ts';
import { runService } from '../run-service.ts';
import { type Foundation, type FoundationOptions, openFoundation } from './foundation.ts';
import { type FoundationSettings, foundationSettings, SERVICE_VARIABLES, type Settings } from './settings.ts';

/** Runners, topics and queues need more time to close than running calls. */
const CLOSE_MARGIN_MS = 15_000;

/**
 * Runs a process with one or more services: reads its settings, opens the foundation, opens the services, prints one
 * ready line with their addresses on stdout, and drains on SIGTERM or SIGINT.
 *
 * @param own the settings in addition to those of the foundation.
 * @param open opens the services; it registers them with `foundation.closing`.
 */
export function serviceMain<Shape extends z.ZodRawShape, Addresses extends Readonly<Record<string, unknown>>>(
  options: FoundationOptions,
  environment: Environment,
  own: Shape,
  open: (settings: Settings<Shape>, foundation: Foundation) => Promise<Addresses>,
): void {
  runService(options.service, async (stopping) => {
    const schema = z.object({ ...foundationSettings, ...own });
    const settings = readConfig(schema, environment, {
      prefix: 'HOTLOOP_',
      known: SERVICE_VARIABLES,
    }) as unknown as FoundationSettings & Settings<Shape>;
    const foundation = await openFoundation(settings, options);
    const { log, closing, drainMs } = foundation;
    try {
      const addresses = await open(settings, foundation);
      process.stdout.write(`${JSON.stringify({ ready: true, ...addresses })}\n`);
      log.info({ ...addresses }, `${options.service} serves`);
      await stopping;
      log.info(`${options.service} drains`);
    } finally {
      await closing.close(drainMs + CLOSE_MARGIN_MS);
    }
  });
}
