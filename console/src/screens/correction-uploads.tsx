import { useState } from 'react';
import {
  type CorrectionUpload,
  useUploadAction,
  useUploadCorrections,
  useUploads,
} from '../api/correction-queries.ts';
import { ActionButton, notAllowed } from '../components/action-button.tsx';
import { Age } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card } from '../components/card.tsx';
import { ConfirmDialog } from '../components/confirm-dialog.tsx';
import { Icon } from '../components/icon.tsx';
import { Answer, Callout, Empty } from '../components/states.tsx';
import { useMay } from '../permissions.tsx';

const TONES: Readonly<Record<string, Tone>> = { approved: 'good', staged: 'info', withdrawn: 'neutral' };

/** Files of corrections: upload, look at what they would change, approve. */
export function CorrectionUploads({ model }: { model: string }) {
  const query = useUploads(model);
  const send = useUploadCorrections(model);
  const mayUpload = useMay('feedback');
  return (
    <Card
      title="Files"
      flush
      aside={
        <label
          className={mayUpload ? 'button small' : 'button small disabled'}
          title={mayUpload ? undefined : notAllowed('feedback')}
        >
          <Icon name="up" size={14} />
          {send.isPending ? 'Uploading…' : 'Upload corrections'}
          <input
            type="file"
            disabled={!mayUpload}
            accept=".csv,.jsonl,.parquet"
            className="visually-hidden"
            onChange={(event) => {
              const file = event.target.files?.[0];
              if (file) send.mutate(file);
              event.target.value = '';
            }}
          />
        </label>
      }
    >
      {send.isError && (
        <div className="card-body">
          <Callout tone="bad">{send.error.message}</Callout>
        </div>
      )}
      <Answer query={query} lines={2}>
        {(uploads) =>
          uploads.length === 0 ? (
            <Empty title="No file was uploaded" icon="file">
              CSV, JSONL or Parquet with the columns prediction_id, label, and item or note where they are
              needed. Nothing counts before it is approved.
            </Empty>
          ) : (
            <ul>
              {uploads.map((each) => (
                <UploadRow key={each.uploadId} upload={each} />
              ))}
            </ul>
          )
        }
      </Answer>
    </Card>
  );
}

function UploadRow({ upload }: { upload: CorrectionUpload }) {
  const [asked, setAsked] = useState<'approve' | 'withdraw' | null>(null);
  const act = useUploadAction(upload.uploadId);
  const counts = Object.entries(upload.counts);
  const isStaged = upload.state === 'staged';
  return (
    <li className="incident">
      <div className="row spread">
        <span className="row">
          <Badge tone={TONES[upload.state] ?? 'neutral'}>{upload.state}</Badge>
          <span className="strong">{upload.note || 'corrections'}</span>
        </span>
        <span className="tiny faint">
          {upload.uploadedBy}, <Age at={Date.parse(upload.createdAt)} />
          {upload.approvedBy !== null && `, approved by ${upload.approvedBy}`}
        </span>
      </div>
      <p className="small soft">
        {upload.accepted} of {upload.rows} rows fit; {upload.refused} refused.
        {counts.length > 0 &&
          ` ${counts.map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`).join(', ')}.`}
      </p>
      {upload.problems.length > 0 && (
        <details>
          <summary>Why rows were refused</summary>
          <ul className="small soft">
            {upload.problems.slice(0, 20).map(({ line, problem }) => (
              <li key={`${line} ${problem}`}>
                line {line}: {problem}
              </li>
            ))}
          </ul>
        </details>
      )}
      {upload.state !== 'withdrawn' && (
        <div className="actions">
          {isStaged && (
            <ActionButton className="button small primary" onClick={() => setAsked('approve')}>
              Approve
            </ActionButton>
          )}
          <ActionButton className="button small" onClick={() => setAsked('withdraw')}>
            Withdraw
          </ActionButton>
        </div>
      )}
      {asked && (
        <ConfirmDialog
          title={
            asked === 'approve' ? `Let ${upload.accepted} corrections count?` : 'Withdraw these corrections?'
          }
          action={asked === 'approve' ? 'Approve' : 'Withdraw'}
          danger={asked === 'withdraw'}
          asksReason={false}
          onClose={() => setAsked(null)}
          onConfirm={() => act.mutateAsync(asked)}
        >
          {asked === 'approve'
            ? 'They go before outcomes that came by themselves, and later candidates must answer them rightly.'
            : 'Their labels are taken back.'}
        </ConfirmDialog>
      )}
    </li>
  );
}
