import { BackingServiceError } from '@hotloop/deploy/backing/backing-service-error.ts';
import { startRealKubernetes } from '@hotloop/deploy/backing/real-kubernetes.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import {
  isInstalled,
  KUBE_VERSIONS,
  lintChart,
  renderChart,
  VALUES_MATRIX,
  validateManifests,
} from '@hotloop/deploy/helm/render-chart.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { CACHE } from '../stand/bench-local.ts';
import { tryOnServer } from './chart-on-server.ts';
import type { Drill } from './drill.ts';

const BUILD_MS = 19 * 60_000;

/**
 * Lints the chart, renders it with every entry of the matrix of values, and validates the result against the schemas
 * of two versions of Kubernetes. Needs `helm` (`go install helm.sh/helm/v3/cmd/helm@latest`) and
 * `kubernetes-validate` (`pip install`). Where Go can build it, the chart is then installed on a real API server
 * (`--only server` does nothing else).
 */
export const drillChart: Drill = async ({ say, environment, only }): Promise<Figure[]> => {
  const path = environment.PATH ?? '';
  if (only === 'server') return onServer(path, environment, say);
  if (!(await isInstalled('helm', path)) || !(await isInstalled('kubernetes-validate', path)))
    throw new Error('helm and kubernetes-validate are needed; nothing was checked');
  await lintChart(path);
  let invalid = 0;
  let rendered = 0;
  for (const settings of VALUES_MATRIX)
    for (const version of KUBE_VERSIONS) {
      const yaml = await renderChart(settings, path, version);
      rendered++;
      const complaints = await validateManifests(yaml, version, path);
      invalid += complaints.length;
      for (const complaint of complaints) say(`${settings.join(' ') || 'defaults'}: ${complaint}`);
    }
  const planted = (await renderChart([], path)).replace('replicas: 2', 'replicas: two');
  const caught = (await validateManifests(planted, '1.32', path)).length > 0;
  return [
    figure('chart_invalid', [invalid], { atMost: 0 }),
    figure('chart_planted_caught', [caught ? 1 : 0], { atLeast: 1 }),
    figure('chart_rendered', [rendered]),
    ...(await onServer(path, environment, say)),
  ];
};

/** The chart on a real API server; one line says why there is none. */
async function onServer(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
): Promise<Figure[]> {
  if (!(await isInstalled('kubectl', path))) {
    say('skipped: kubectl is not installed, so the chart was not applied to an API server');
    return [];
  }
  await using folder = await benchFolder();
  await using watchdog = startWatchdog();
  const options = { dir: folder.path, cacheDir: CACHE, environment, watchdog, log: say };
  try {
    await using server = await startRealKubernetes(options, AbortSignal.timeout(BUILD_MS));
    const { installed, pods, complaints, caught, planted } = await tryOnServer(server, path, say);
    say(`${server.version}: ${installed} installations, ${pods} pods`);
    return [
      figure('chart_refused', [complaints.length], { atMost: 0 }),
      figure('chart_installed', [installed], { atLeast: VALUES_MATRIX.length }),
      figure('chart_planted_refused', [caught / planted], { atLeast: 1 }),
    ];
  } catch (error) {
    if (!(error instanceof BackingServiceError) || error.code !== 'MISSING_PROGRAM') throw error;
    say(`skipped: ${error.message}`);
    return [];
  }
}
