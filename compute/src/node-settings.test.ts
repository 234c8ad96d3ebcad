import { readConfig, z } from '@hotloop/platform/config.ts';
import { computeSettings } from '@hotloop/platform/start-up/settings.ts';
import { describe, expect, it } from 'vitest';
import { nodeOptions } from './node-settings.ts';

const NODE_SETTINGS = z.object(computeSettings).omit({ HOTLOOP_STORE: true, HOTLOOP_DATA: true });

const read = (environment: Readonly<Record<string, string>>) =>
  nodeOptions(readConfig(NODE_SETTINGS, environment, { prefix: 'HOTLOOP_' }), environment);

describe('the settings of a node', () => {
  it('become the options that compute runs with', () => {
    const environment = {
      HOTLOOP_EXECUTION_PROVIDERS: 'cuda, cpu',
      HOTLOOP_MEMORY_BUDGET_MB: '2048',
      HOTLOOP_JOURNAL_MAX_MB: '512',
      HOTLOOP_HANG_MS: '1500',
      HOTLOOP_IDLE_UNLOAD_MS: '60000',
      LD_LIBRARY_PATH: '/opt/cuda/lib64',
      CUDA_VISIBLE_DEVICES: '',
      DATABASE_URL: 'postgres://secret',
    };
    expect(read(environment)).toEqual({
      fleet: {
        executionProviders: ['cuda', 'cpu'],
        memoryBudgetBytes: 2 * 1024 ** 3,
        hangMs: 1500,
        idleUnloadMs: 60_000,
        deviceEnvironment: { LD_LIBRARY_PATH: '/opt/cuda/lib64', CUDA_VISIBLE_DEVICES: '' },
      },
      journal: { maxBytes: 512 * 1024 ** 2 },
    });
  });

  it('are the defaults where nothing is set', () => {
    expect(read({ HOTLOOP_EXECUTION_PROVIDERS: '' })).toEqual({
      fleet: { deviceEnvironment: {} },
      journal: {},
    });
  });

  it.each([
    ['HOTLOOP_EXECUTION_PROVIDERS', 'cpu,gpu', 'must be of cpu, cuda, tensorrt, webgpu, separated by commas'],
    ['HOTLOOP_MEMORY_BUDGET_MB', '2GB', 'must be whole megabytes'],
    ['HOTLOOP_MEMORY_BUDGET_MB', '0', 'must be at least 128'],
    ['HOTLOOP_MEMORY_BUDGET_MB', '2147483648', 'must be at most 1048576'],
    ['HOTLOOP_JOURNAL_MAX_MB', '1.5', 'must be whole megabytes'],
    ['HOTLOOP_HANG_MS', '0', 'must be at least 100'],
  ])('%s=%s is refused at start, with a message of one line', (name, value, what) => {
    const line = `cannot start: ${name}: ${what}`;
    expect(() => read({ [name]: value })).toThrow(new RegExp(`^${line}`));
  });
});
