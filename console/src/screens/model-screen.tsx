import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { modelPath, useAction, useModel } from '../api/queries.ts';
import type { ModelDetails, Version } from '../api/types.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { Badge, VersionBadge } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { Icon } from '../components/icon.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer } from '../components/states.tsx';
import { formatMetric, metricName } from '../number-format.ts';
import { LoopView } from './loop-view.tsx';
import { QualityCard } from './quality-card.tsx';
import { TrafficCards } from './traffic-cards.tsx';

type Asked =
  | { readonly kind: 'promote'; readonly version: number }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'retrain' };

export function ModelScreen({ model: name }: { model: string }) {
  const query = useModel(name);
  const [asked, setAsked] = useState<Asked | null>(null);
  const details = query.data;
  const live = details?.model.liveVersion ?? 0;
  const previous = details?.model.previousVersion ?? 0;
  return (
    <Page
      title={name}
      badge={
        details && (
          <Badge tone={live > 0 ? 'good' : 'neutral'}>
            {live > 0 ? `Version ${live} is live` : 'Not live'}
          </Badge>
        )
      }
      actions={
        details && (
          <>
            <ActionButton disabled={live === 0} onClick={() => setAsked({ kind: 'retrain' })}>
              <Icon name="play" size={14} /> Train
            </ActionButton>
            <ActionButton
              disabled={previous === 0}
              title={previous === 0 ? 'There is no previous version' : `Back to version ${previous}`}
              onClick={() => setAsked({ kind: 'rollback' })}
            >
              <Icon name="back" size={14} /> Roll back
            </ActionButton>
          </>
        )
      }
    >
      <ModelTabs model={name} />
      <Answer query={query} lines={10}>
        {(value) => (
          <Details details={value} onPromote={(version) => setAsked({ kind: 'promote', version })} />
        )}
      </Answer>
      {asked && details && <Ask asked={asked} details={details} onClose={() => setAsked(null)} />}
    </Page>
  );
}

function Ask({ asked, details, onClose }: { asked: Asked; details: ModelDetails; onClose: () => void }) {
  const { name, liveVersion, previousVersion } = details.model;
  const [, goTo] = useLocation();
  const act = useAction<object>(
    asked.kind === 'retrain'
      ? `${modelPath(name)}/retrain`
      : `/v1/models/${encodeURIComponent(name)}/rollouts`,
  );
  if (asked.kind === 'retrain')
    return (
      <ConfirmDialog
        title={`Train ${name}?`}
        action="Start training"
        onClose={onClose}
        onConfirm={async (reason) => {
          await act.mutateAsync({ reason });
          goTo(`/models/${name}/runs`);
        }}
      >
        Version {liveVersion} is trained further on the outcomes that have arrived. The candidate goes live
        only if it passes the gate.
      </ConfirmDialog>
    );
  const isRollback = asked.kind === 'rollback';
  const target = asked.kind === 'promote' ? asked.version : previousVersion;
  return (
    <ConfirmDialog
      title={
        isRollback ? `Roll ${name} back to version ${target}?` : `Make version ${target} of ${name} live?`
      }
      action={isRollback ? `Roll back to version ${target}` : `Promote version ${target}`}
      danger={isRollback}
      onClose={onClose}
      onConfirm={async (reason) => {
        await act.mutateAsync({ reason, actor: 'console', ...(isRollback ? {} : { version: target }) });
        if (!isRollback) goTo(`/models/${name}/rollout`);
      }}
    >
      {liveVersion > 0 && `Version ${liveVersion} answers now. `}
      {isRollback
        ? `Version ${target} is still loaded, so it answers within a second.`
        : 'It is loaded and warmed on every compute node before it gets any traffic.'}
    </ConfirmDialog>
  );
}

function Details({ details, onPromote }: { details: ModelDetails; onPromote: (version: number) => void }) {
  return (
    <>
      <LoopView details={details} />
      <TrafficCards details={details} />
      <QualityCard details={details} />
      <Versions details={details} onPromote={onPromote} />
    </>
  );
}

/** What is worth a column; the rest is told on the run's screen. */
const NAMED = new Set(['auc', 'accuracy', 'ndcg', 'rmse', 'log_loss', 'loss', 'f1', 'mae', 'r2']);

function Versions({ details, onPromote }: { details: ModelDetails; onPromote: (version: number) => void }) {
  const { versions, model } = details;
  const metrics = [...new Set(versions.flatMap((version) => Object.keys(version.metrics)))]
    .filter((name) => NAMED.has(name))
    .slice(0, 3);
  return (
    <Card title="Versions" flush aside={<span className="note">{versions.length} registered</span>}>
      <TableFrame label="Versions">
        <thead>
          <tr>
            <th>Version</th>
            <th>State</th>
            {metrics.map((name) => (
              <th key={name} className="number">
                {metricName(name)}
              </th>
            ))}
            <th>Origin</th>
            <th>Nodes</th>
            <th>Registered</th>
            <th>
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {versions.map((version) => (
            <tr key={version.version}>
              <td>
                <span className="strong number">v{version.version}</span>
              </td>
              <td>
                <VersionBadge state={version.state} />
              </td>
              {metrics.map((name) => (
                <td key={name} className="number">
                  {formatMetric(version.metrics[name])}
                </td>
              ))}
              <td className="soft">
                <Origin version={version} />
              </td>
              <td className="soft">
                <Nodes version={version} />
              </td>
              <td className="faint">
                <Age at={version.createdAt} />
              </td>
              <td className="number">
                {version.version !== model.liveVersion && (
                  <ActionButton className="button small" onClick={() => onPromote(version.version)}>
                    Promote<span className="visually-hidden"> version {version.version}</span>
                  </ActionButton>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </TableFrame>
    </Card>
  );
}

function Origin({ version }: { version: Version }) {
  if (version.runId)
    return (
      <Link href={`/runs/${version.runId}`} className="link">
        trained from v{version.parentVersion}
      </Link>
    );
  return <span className="clip">{version.note || 'pushed'}</span>;
}

function Nodes({ version }: { version: Version }) {
  const here = version.nodes.filter(({ state }) => state !== 'gone' && state !== 'cold');
  const failed = here.find(({ state }) => state === 'failed');
  if (failed) return <Badge tone="bad">failed on {failed.node}</Badge>;
  if (here.length === 0) return <span className="faint">–</span>;
  const ready = here.filter(({ state }) => state === 'ready').length;
  return (
    <span className="number">
      {ready} of {here.length} ready
    </span>
  );
}
