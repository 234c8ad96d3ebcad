import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { batchRoutes } from '../batch/batch-routes.ts';
import type { Batches } from '../batch/start-batches.ts';
import type { DatasetCollector } from '../datasets/dataset-collector.ts';
import { type DatasetRouteDependencies, datasetRoutes } from '../datasets/dataset-routes.ts';
import { loopRoutes } from '../datasets/loop-routes.ts';
import { predictionRoutes } from '../datasets/predictions/prediction-routes.ts';
import { explainRoutes } from '../explain/explain-routes.ts';
import { replayRoutes } from '../improve/replay-routes.ts';
import { selectRoutes } from '../improve/select-routes.ts';
import { ledgerRoutes } from '../ledger/ledger-routes.ts';
import { type MonitoringRoutesDependencies, monitoringRoutes } from '../monitoring/monitoring-routes.ts';
import { statusAlarms } from '../monitoring/monitoring-status.ts';
import { correctionRoutes } from '../outcomes/corrections/correction-routes.ts';
import { outcomeRoutes } from '../outcomes/outcome-routes.ts';
import type { OutcomeDependencies } from '../outcomes/record-outcomes.ts';
import { type ParityRouteDependencies, parityRoutes } from '../parity/parity-routes.ts';
import { type PortableDependencies, portableRoutes } from '../portable/portable-routes.ts';
import { planRoutes } from '../registry/plan-routes.ts';
import { pushRoutes } from '../registry/push-routes.ts';
import { registryRoutes } from '../registry/registry-routes.ts';
import { sharedFeatureRoutes } from '../registry/shared-feature-routes.ts';
import { type RolloutRouteDependencies, rolloutRoutes } from '../rollouts/rollout-routes.ts';
import { type RunsRouteDependencies, runsRoutes } from '../runs/runs-routes.ts';
import { searchRoutes } from '../runs/search-routes.ts';
import { statusRoutes } from '../status/status-routes.ts';
import { type ChangeFeed, changeRoutes } from './console/change-stream.ts';
import { type ConsoleDependencies, consoleActions, consoleRoutes } from './console/console-routes.ts';
import { type FirstRunDependencies, firstRunRoutes } from './console/first-run-routes.ts';

/** What the modules' routes read and write. */
export interface ControlDependencies
  extends PortableDependencies,
    ConsoleDependencies,
    FirstRunDependencies,
    RolloutRouteDependencies,
    MonitoringRoutesDependencies,
    ParityRouteDependencies {
  readonly outcomes: OutcomeDependencies;
  /** Without it pages do not learn of changes by themselves. */
  readonly changes: ChangeFeed | null;
  readonly batches: Batches['dependencies'];
  readonly data: DatasetRouteDependencies;
  readonly datasets: DatasetCollector;
  readonly runs: RunsRouteDependencies['runs'];
}

/** The control API over HTTP: one route module for each part of the retrainer, written beside it. */
export function controlRoutes(dependencies: ControlDependencies): readonly RouteModule[] {
  const { changes, pool, clock } = dependencies;
  return [
    portableRoutes(dependencies),
    batchRoutes(dependencies.batches),
    outcomeRoutes(dependencies.outcomes),
    loopRoutes(dependencies.loop),
    sharedFeatureRoutes(dependencies.pool),
    parityRoutes(dependencies),
    datasetRoutes(dependencies.data),
    pushRoutes(dependencies.data),
    correctionRoutes(dependencies.data),
    predictionRoutes(dependencies.data),
    consoleRoutes(dependencies),
    consoleActions(dependencies),
    firstRunRoutes(dependencies),
    ...(changes ? [changeRoutes(changes)] : []),
    rolloutRoutes(dependencies),
    explainRoutes(dependencies.data),
    runsRoutes(dependencies),
    searchRoutes(dependencies),
    selectRoutes(dependencies.data),
    replayRoutes({ ...dependencies.data, datasets: dependencies.datasets }),
    monitoringRoutes(dependencies),
    ledgerRoutes(dependencies.pool),
    registryRoutes(dependencies),
    planRoutes(dependencies),
    statusRoutes({ ...dependencies, parts: { alarms: () => statusAlarms(pool, clock.now()) } }),
  ];
}
