import { fileURLToPath } from 'node:url';
import type { OidcLoginSettings } from '@hotloop/platform/http/oidc-issuer.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import type { Foundation } from '@hotloop/platform/start-up/foundation.ts';
import type { Listen, RetrainerSettings } from '@hotloop/platform/start-up/settings.ts';
import { serviceFetch } from '@hotloop/platform/tls/service-fetch.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FrontDoor } from './control/console/first-run-routes.ts';
import type { MailSettings } from './monitoring/notify/send-email.ts';
import type { Databases } from './outcomes/sql/read-sql-outcomes.ts';
import { type Retrainer, startRetrainer } from './service.ts';

/** The console's built files, beside this package. */
const CONSOLE_FOLDER = fileURLToPath(new URL('../../console/dist', import.meta.url));

/** Limit of the reads that collect a dataset; everything else is much faster. */
export const RETRAINER_QUERY_TIMEOUT_MS = 120_000;

/**
 * Opens the retrainer with its settings; the foundation's `closing` closes it.
 *
 * @param databases addresses of the databases with outcomes, and secrets of webhooks, by the name of their variable.
 */
export async function openRetrainer(
  settings: RetrainerSettings,
  listen: Listen,
  foundation: Foundation,
  databases: Databases,
): Promise<Retrainer> {
  const { closing, pool, registry, authenticator, tracing, log } = foundation;
  const objects = openObjectStore(settings.HOTLOOP_STORE);
  closing.defer('dataset store', async () => objects[Symbol.dispose]());
  const bundles = openBundleStore(settings.HOTLOOP_STORE);
  closing.defer('model store', async () => bundles[Symbol.dispose]());
  const watched = settings.HOTLOOP_WATCH === undefined ? undefined : openObjectStore(settings.HOTLOOP_WATCH);
  closing.defer('watched prefix', async () => watched?.[Symbol.dispose]());
  return closing.use(
    'retrainer',
    await startRetrainer(
      {
        ...(watched ? { watched } : {}),
        listen: listen.grpc,
        http: { listen: listen.http, metrics: foundation.metrics },
        console: {
          folder: settings.HOTLOOP_CONSOLE ?? CONSOLE_FOLDER,
          sessionSecret: settings.HOTLOOP_SESSION_SECRET,
          oidc: oidcOf(settings, foundation),
        },
        frontDoor: frontDoorOf(settings, foundation),
        drainMs: foundation.drainMs,
        trainers: settings.HOTLOOP_TRAINING === 'here' ? 1 : 0,
        monitors: settings.HOTLOOP_MONITORING === 'here',
        queueUrl: settings.REDIS_QUEUE_URL,
        databases,
        ...mailOf(settings),
        ...consoleAddress(settings, listen.http),
        external: { scripts: settings.HOTLOOP_TRAINERS, path: settings.HOTLOOP_TRAINERS_PATH },
        ...(settings.HOTLOOP_MLFLOW_URL ? { mlflowUrl: settings.HOTLOOP_MLFLOW_URL } : {}),
        ...(settings.KAFKA_BROKERS ? { kafkaBrokers: settings.KAFKA_BROKERS } : {}),
      },
      {
        pool,
        databaseUrl: foundation.databaseUrl,
        registry,
        bundles,
        objects,
        authenticator,
        tls: foundation.tls,
        tracing,
        log: log.child({ part: 'retrainer' }),
      },
    ),
  );
}

/** Links in alarms lead there. Without a setting, a retrainer that this machine alone can reach has one address. */
function consoleAddress(
  { HOTLOOP_CONSOLE_URL: url }: RetrainerSettings,
  listen: string,
): { readonly consoleUrl?: string } {
  if (url !== undefined) return { consoleUrl: url };
  return /^(127\.0\.0\.1|localhost):[1-9]\d*$/.test(listen) ? { consoleUrl: `http://${listen}` } : {};
}

function mailOf(settings: RetrainerSettings): { readonly mail?: MailSettings } {
  const { HOTLOOP_SMTP_URL: url, HOTLOOP_MAIL_FROM: from } = settings;
  return url === undefined ? {} : { mail: { url, from } };
}

/** Throws INVALID_ARGUMENT for a client without its issuer. */
function oidcOf(settings: RetrainerSettings, { issuer }: Foundation): OidcLoginSettings | undefined {
  const clientId = settings.HOTLOOP_OIDC_CLIENT_ID;
  if (clientId === undefined) return undefined;
  if (issuer === undefined)
    throw new HotloopError('INVALID_ARGUMENT', 'set HOTLOOP_OIDC_ISSUER beside HOTLOOP_OIDC_CLIENT_ID', {
      reason: 'invalid_configuration',
    });
  return {
    ...{ issuer, clientId, scope: settings.HOTLOOP_OIDC_SCOPE },
    ...{ clientSecret: settings.HOTLOOP_OIDC_CLIENT_SECRET, consoleUrl: settings.HOTLOOP_CONSOLE_URL },
  };
}

/** Where the console asks for predictions; null if no setting says where. */
function frontDoorOf(
  { HOTLOOP_FRONT_DOOR: predictions, HOTLOOP_INFERENCE_HTTP: inference }: RetrainerSettings,
  { tls, apiKey }: Foundation,
): FrontDoor | null {
  if (predictions === undefined || inference === undefined) return null;
  // The command line reads the same variable as a URL, and both may share one environment.
  const bare = (address: string) => address.replace(/^https?:\/\//, '').replace(/\/$/, '');
  return { predictions: bare(predictions), inference: bare(inference), apiKey, calls: serviceFetch(tls) };
}
