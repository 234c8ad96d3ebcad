import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { computeSettings, listenSettings } from '@hotloop/platform/start-up/settings.ts';
import { openCompute } from './open-compute.ts';

serviceMain(
  { service: 'compute', maxConnections: 3, queryTimeoutMs: 5_000 },
  process.env,
  { ...computeSettings, ...listenSettings(8001, 8000) },
  async (settings, foundation) => {
    const listen = { grpc: settings.HOTLOOP_LISTEN, http: settings.HOTLOOP_HTTP_LISTEN };
    const { address, httpAddress } = await openCompute(settings, listen, process.env, foundation);
    return { address, httpAddress };
  },
);
