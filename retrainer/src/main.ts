import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { listenSettings, retrainerSettings } from '@hotloop/platform/start-up/settings.ts';
import { openRetrainer, RETRAINER_QUERY_TIMEOUT_MS } from './open-retrainer.ts';

serviceMain(
  { service: 'retrainer', maxConnections: 8, queryTimeoutMs: RETRAINER_QUERY_TIMEOUT_MS },
  process.env,
  { ...retrainerSettings, ...listenSettings(7403, 7404) },
  async (settings, foundation) => {
    const listen = { grpc: settings.HOTLOOP_LISTEN, http: settings.HOTLOOP_HTTP_LISTEN };
    const { address, httpAddress } = await openRetrainer(
      settings,
      listen,
      foundation,
      (name) => process.env[name],
    );
    return { address, httpAddress };
  },
);
