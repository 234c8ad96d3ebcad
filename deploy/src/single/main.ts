import { openCompute } from '@hotloop/compute/open-compute.ts';
import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import {
  computeSettings,
  postprocessorSettings,
  preprocessorSettings,
  retrainerSettings,
} from '@hotloop/platform/start-up/settings.ts';
import { openPostprocessor } from '@hotloop/postprocessor/open-postprocessor.ts';
import { openPreprocessor } from '@hotloop/preprocessor/open-preprocessor.ts';
import { openRetrainer, RETRAINER_QUERY_TIMEOUT_MS } from '@hotloop/retrainer/open-retrainer.ts';
import { singleListenSchema } from './single-listen.ts';

// The same four services in one process: they use the same ports by direct call instead of gRPC.
serviceMain(
  { service: 'hotloop', maxConnections: 8, queryTimeoutMs: RETRAINER_QUERY_TIMEOUT_MS },
  process.env,
  {
    ...preprocessorSettings,
    ...computeSettings,
    ...postprocessorSettings,
    ...retrainerSettings,
    HOTLOOP_SINGLE: singleListenSchema,
  },
  async (settings, foundation) => {
    const listen = settings.HOTLOOP_SINGLE;
    const retrainer = await openRetrainer(
      settings,
      listen.retrainer,
      foundation,
      (name) => process.env[name],
    );
    const compute = await openCompute(settings, listen.compute, process.env, foundation);
    const postprocessor = await openPostprocessor(settings, listen.postprocessor, foundation);
    const peers = { inference: compute.port, decision: postprocessor.decision, feedback: retrainer.feedback };
    const preprocessor = await openPreprocessor(settings, listen.preprocessor, peers, foundation);
    const addresses = ({ address, httpAddress }: { address: string; httpAddress: string }) => ({
      address,
      httpAddress,
    });
    return {
      address: preprocessor.address,
      httpAddress: preprocessor.httpAddress,
      services: {
        preprocessor: addresses(preprocessor),
        compute: addresses(compute),
        postprocessor: addresses(postprocessor),
        retrainer: addresses(retrainer),
      },
    };
  },
);
