import {
  isInstalled,
  KUBE_VERSIONS,
  lintChart,
  renderChart,
  VALUES_MATRIX,
  validateManifests,
} from '@hotloop/deploy/helm/render-chart.ts';
import { type Figure, figure } from '../figure.ts';
import type { Drill } from './drill.ts';

/**
 * Lints the chart, renders it with every entry of the matrix of values, and validates the result against the schemas
 * of two versions of Kubernetes. Needs `helm` (`go install helm.sh/helm/v3/cmd/helm@latest`) and
 * `kubernetes-validate` (`pip install`).
 */
export const drillChart: Drill = async ({ say, environment }): Promise<Figure[]> => {
  const path = environment.PATH ?? '';
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
  ];
};
