import type { ReactNode } from 'react';
import { useMay } from '../permissions.tsx';

/** A button that changes something: it cannot be pressed by a person whose role does not allow it, and says why. */
export function ActionButton({
  needs = 'operate',
  className = 'button',
  disabled = false,
  title,
  onClick,
  children,
}: {
  needs?: 'predict' | 'feedback' | 'operate';
  className?: string;
  disabled?: boolean;
  title?: string;
  onClick: () => void;
  children: ReactNode;
}) {
  const may = useMay(needs);
  return (
    <button
      type="button"
      className={className}
      disabled={disabled || !may}
      title={may ? title : notAllowed(needs)}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

export function notAllowed(role: string): string {
  return `Your key does not have the role ${role}`;
}
