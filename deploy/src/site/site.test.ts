import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import MiniSearch from 'minisearch';
import { describe, expect, it } from 'vitest';
import { buildSite } from './build-site.ts';
import { renderPage } from './render-page.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const COMMANDS = '# Commands\n\n## hotloop up\n\nRuns it.\n';

describe('the documentation site', () => {
  it('is built from every page, with valid links and a working search', async () => {
    const out = await mkdtemp(join(tmpdir(), 'hotloop-site-'));
    try {
      const { pages, broken } = buildSite({ root: ROOT, out, commands: COMMANDS });
      expect(broken).toEqual([]);
      expect(pages).toBeGreaterThan(30);
      const page = await readFile(join(out, 'production.html'), 'utf8');
      expect(page).toContain('<h1 id="production">');
      expect(page).not.toMatch(/href="[^"#:]+\.md/);
      expect(await readFile(join(out, 'reference-manifest.html'), 'utf8')).toContain('log.durability');
      expect(await readFile(join(out, 'reference-contracts.html'), 'utf8')).toContain('PredictStream');
      const script = await readFile(join(out, 'search-index.js'), 'utf8');
      const index = MiniSearch.loadJS(
        JSON.parse(script.slice(script.indexOf('{'), script.lastIndexOf('}') + 1)),
        {
          fields: ['heading', 'text', 'title'],
          storeFields: ['address'],
        },
      );
      expect(index.search('forgetting a person')[0]?.address).toBe('production.html#forgetting-a-person');
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  });

  it('finds a planted broken link, and one to a missing anchor', async () => {
    const root = await mkdtemp(join(tmpdir(), 'hotloop-site-'));
    try {
      for (const name of ['docs', 'model/model.schema.json', 'proto/hotloop'])
        await cp(join(ROOT, name), join(root, name), { recursive: true });
      for (const name of ['README', 'ARCHITECTURE', 'CONTRIBUTING', 'CHANGELOG', 'SECURITY'])
        await writeFile(join(root, `${name}.md`), `# ${name}\n`);
      await writeFile(
        join(root, 'README.md'),
        '# Home\n\n[a](docs/nowhere.md) [b](docs/guide.md#no-such-part) [c](docs/guide.md) [d](#home) [e](http://)\n',
      );
      const { broken } = buildSite({ root, out: join(root, 'site'), commands: COMMANDS });
      expect(broken.filter((link) => link.startsWith('README'))).toEqual([
        'README: docs/nowhere.md',
        'README: docs/guide.md#no-such-part',
        'README: http://',
      ]);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });

  it('shows HTML of a page as text, and gives equal headings different anchors', () => {
    const { html, anchors } = renderPage('# A\n\n<script>alert(1)</script>\n\n## A\n', (address) => address);
    expect(html).not.toContain('<script>');
    expect([...anchors]).toEqual(['a', 'a-1']);
  });
});
