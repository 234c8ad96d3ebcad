import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { listenSettings, peerSettings, preprocessorSettings } from '@hotloop/platform/start-up/settings.ts';
import { openPeers, openPreprocessor } from './open-preprocessor.ts';

serviceMain(
  { service: 'preprocessor', maxConnections: 2, queryTimeoutMs: 5_000 },
  process.env,
  { ...preprocessorSettings, ...peerSettings, ...listenSettings(7400, 7480) },
  async (settings, foundation) => {
    const listen = { grpc: settings.HOTLOOP_LISTEN, http: settings.HOTLOOP_HTTP_LISTEN };
    const peers = openPeers(settings, foundation);
    const { address, httpAddress } = await openPreprocessor(settings, listen, peers, foundation);
    return { address, httpAddress };
  },
);
