import { createContext, type ReactNode, useContext } from 'react';
import type { Session } from './api/types.ts';

const Roles = createContext<readonly string[]>([]);

/** Provides the roles of the current user to all components inside. */
export function Permissions({ session, children }: { session: Session; children: ReactNode }) {
  return <Roles value={session.roles}>{children}</Roles>;
}

/** Whether the person may do what needs a role. The server decides; this only spares them a refusal. */
export function useMay(role: 'predict' | 'feedback' | 'operate'): boolean {
  return useContext(Roles).includes(role);
}
