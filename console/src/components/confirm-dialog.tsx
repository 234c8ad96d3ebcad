import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Callout } from './states.tsx';

/** Asks before something is done, with the reason that goes into the ledger. */
export function ConfirmDialog({
  title,
  children,
  action,
  danger = false,
  asksReason = true,
  onConfirm,
  onClose,
}: {
  title: string;
  children: ReactNode;
  /** What the button says: the act itself. */
  action: string;
  danger?: boolean;
  /** Whether a reason must be given. */
  asksReason?: boolean;
  /** The dialog closes when it resolves, and tells what it rejects with. */
  onConfirm: (reason: string) => Promise<unknown>;
  onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const confirm = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem('');
    try {
      await onConfirm(reason.trim());
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} onClose={onClose}>
      <form onSubmit={confirm}>
        <div className="dialog-body">
          <h2 id={`${id}-title`}>{title}</h2>
          <div className="soft small">{children}</div>
          {asksReason && (
            <div className="field">
              <label htmlFor={`${id}-reason`}>Reason</label>
              <textarea
                id={`${id}-reason`}
                className="input"
                rows={2}
                required
                maxLength={500}
                value={reason}
                onChange={(event) => setReason(event.target.value)}
                placeholder="Why now? It is kept in the ledger."
              />
            </div>
          )}
          {problem !== '' && <Callout tone="bad">{problem}</Callout>}
        </div>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={onClose} disabled={busy}>
            Cancel
          </button>
          <button
            type="submit"
            className={`button ${danger ? 'danger' : 'primary'}`}
            disabled={busy || (asksReason && reason.trim() === '')}
          >
            {busy ? 'Working…' : action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
