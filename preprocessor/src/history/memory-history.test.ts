import { describeHistory } from '../testing/history-contract.ts';
import { MemoryHistory } from './memory-history.ts';

describeHistory('memory', async () => ({
  history: new MemoryHistory(),
  [Symbol.asyncDispose]: async () => undefined,
}));
