import { useQueryClient } from '@tanstack/react-query';
import { type ComponentType, lazy, Suspense, useEffect, useRef } from 'react';
import { Route, Switch } from 'wouter';
import { onSessionEnd, setCsrfToken } from './api/http.ts';
import { followChanges } from './api/live-updates.ts';
import { useSession } from './api/queries.ts';
import type { Session } from './api/types.ts';
import { Shell } from './components/shell.tsx';
import { Empty, Failure, Loading } from './components/states.tsx';
import { Permissions } from './permissions.tsx';
import { LoginScreen } from './screens/login-screen.tsx';
import { OverviewScreen } from './screens/overview-screen.tsx';

/** A screen that is loaded when it is first opened. */
function screen<Name extends string>(
  load: () => Promise<Record<Name, ComponentType<{ model: string; id: string }>>>,
  name: Name,
) {
  return lazy(async () => ({ default: (await load())[name] }));
}

const ModelScreen = screen(() => import('./screens/model-screen.tsx'), 'ModelScreen');
const PredictionsScreen = screen(() => import('./screens/predictions-screen.tsx'), 'PredictionsScreen');
const PredictionScreen = screen(() => import('./screens/prediction-screen.tsx'), 'PredictionScreen');
const RunsScreen = screen(() => import('./screens/runs-screen.tsx'), 'RunsScreen');
const RunScreen = screen(() => import('./screens/run-screen.tsx'), 'RunScreen');
const RolloutScreen = screen(() => import('./screens/rollout-screen.tsx'), 'RolloutScreen');
const CorrectionsScreen = screen(() => import('./screens/corrections-screen.tsx'), 'CorrectionsScreen');
const FeaturesScreen = screen(() => import('./screens/features-screen.tsx'), 'FeaturesScreen');
const FirstRunScreen = screen(() => import('./screens/first-run-screen.tsx'), 'FirstRunScreen');
const IncidentsScreen = screen(() => import('./screens/incidents-screen.tsx'), 'IncidentsScreen');
const IncidentScreen = screen(() => import('./screens/incident-screen.tsx'), 'IncidentScreen');
const BatchScreen = screen(() => import('./screens/batch-screen.tsx'), 'BatchScreen');
const CompareScreen = screen(() => import('./screens/compare-screen.tsx'), 'CompareScreen');
const LedgerScreen = screen(() => import('./screens/ledger-screen.tsx'), 'LedgerScreen');

/** Path -> screen; `:model` and `:id` are handed to it. */
const SCREENS = [
  ['/models/:model', ModelScreen],
  ['/models/:model/predictions', PredictionsScreen],
  ['/models/:model/runs', RunsScreen],
  ['/models/:model/rollout', RolloutScreen],
  ['/models/:model/compare', CompareScreen],
  ['/models/:model/corrections', CorrectionsScreen],
  ['/models/:model/features', FeaturesScreen],
  ['/models/:model/ledger', LedgerScreen],
  ['/predictions/:id', PredictionScreen],
  ['/runs/:id', RunScreen],
  ['/batch', BatchScreen],
  ['/incidents', IncidentsScreen],
  ['/incidents/:id', IncidentScreen],
  ['/new', FirstRunScreen],
] as const;

export function App() {
  const session = useSession();
  const wasLoggedIn = useRef(false);
  const { refetch } = session;
  useEffect(
    () =>
      onSessionEnd(async () => {
        const { data } = await refetch({ cancelRefetch: false });
        if (data) setCsrfToken(data.csrfToken);
        return data?.loggedIn === true;
      }),
    [refetch],
  );
  // Once known, a session is not forgotten because the server was away when it was asked for again.
  if (session.isError && session.data === undefined)
    return (
      <main>
        <Failure error={session.error} retry={() => void session.refetch()} />
      </main>
    );
  if (session.data === undefined)
    return (
      <main>
        <Loading />
      </main>
    );
  if (!session.data.loggedIn) return <LoginScreen oidc={session.data.oidc} hasEnded={wasLoggedIn.current} />;
  wasLoggedIn.current = true;
  return (
    <Permissions session={session.data}>
      <Console session={session.data} />
    </Permissions>
  );
}

function Console({ session }: { session: Session }) {
  const client = useQueryClient();
  setCsrfToken(session.csrfToken);
  useEffect(() => followChanges(client), [client]);
  return (
    <Shell session={session}>
      <Suspense fallback={<Loading lines={6} />}>
        <Switch>
          <Route path="/">
            <OverviewScreen />
          </Route>
          {SCREENS.map(([path, Screen]) => (
            <Route key={path} path={path}>
              {(params: { model?: string; id?: string }) => (
                <Screen model={params.model ?? ''} id={params.id ?? ''} />
              )}
            </Route>
          ))}
          <Route>
            <Empty title="There is no such page" icon="file">
              The address may have been mistyped.
            </Empty>
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}
