import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/http.ts';
import { App } from './app.tsx';
import { startTheme } from './theme.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/components.css';
import './styles/parts.css';
import './styles/charts.css';
import './styles/rollout.css';
import './styles/evidence.css';

startTheme();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What was refused stays refused; only a server that is away is asked again.
      retry: (failures, error) =>
        failures < 3 && !(error instanceof ApiError && error.status > 0 && error.status < 500),
      retryDelay: (failures) => Math.min(500 * 2 ** failures, 4_000),
    },
  },
});

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
