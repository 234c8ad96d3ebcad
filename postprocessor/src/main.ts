import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { listenSettings, postprocessorSettings } from '@hotloop/platform/start-up/settings.ts';
import { openPostprocessor } from './open-postprocessor.ts';

serviceMain(
  { service: 'postprocessor', maxConnections: 2, queryTimeoutMs: 30_000 },
  process.env,
  { ...postprocessorSettings, ...listenSettings(7402, 7482) },
  async (settings, foundation) => {
    const listen = { grpc: settings.HOTLOOP_LISTEN, http: settings.HOTLOOP_HTTP_LISTEN };
    const { address, httpAddress } = await openPostprocessor(settings, listen, foundation);
    return { address, httpAddress };
  },
);
