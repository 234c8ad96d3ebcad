/**
 * Sections of the site and their pages in order: files of docs/ (or of the root) without `.md`. Pages that are not
 * listed are under "More".
 */
export const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  Start: ['README', 'guide', 'tour'],
  'How to': [
    'data-in',
    'outcomes',
    'corrections',
    'events-and-tables',
    'front-door',
    'pipelines',
    'rollouts',
    'monitoring',
    'batch',
    'sql',
    'trainers',
    'mlflow',
    'portable-models',
    'remote-models',
    'engines',
    'serverless',
    'console',
  ],
  Production: ['production', 'runbooks', 'failures', 'capacity', 'SECURITY'],
  Examples: ['movies-example', 'documents-example'],
  Reference: [
    'command-line',
    'reference-commands',
    'features',
    'reference-manifest',
    'settings',
    'open-inference-protocol',
    'reference-contracts',
    'benchmarks',
    'CHANGELOG',
  ],
  Explanation: ['learning', 'training', 'ARCHITECTURE', 'CONTRIBUTING'],
};

/** Decisions have their own section. */
export const DECISIONS = 'Decisions';

/** Pages of the root folder that belong to the site. */
export const ROOT_PAGES: readonly string[] = [
  'README',
  'ARCHITECTURE',
  'CONTRIBUTING',
  'CHANGELOG',
  'SECURITY',
];
