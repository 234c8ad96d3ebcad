import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import MiniSearch from 'minisearch';
import { pageHtml, SEARCH_SCRIPT, STYLE } from './page-html.ts';
import { DECISIONS, ROOT_PAGES, SECTIONS } from './page-list.ts';
import { contractsReference, manifestReference } from './reference-pages.ts';
import { type RenderedPage, renderPage } from './render-page.ts';

export interface SiteOptions {
  /** Root of the repository. */
  readonly root: string;
  /** Folder of the site; its contents are removed first. */
  readonly out: string;
  /** The reference of the command, as Markdown. */
  readonly commands: string;
}

export interface BuiltSite {
  readonly pages: number;
  /** Broken links: `PAGE: ADDRESS`. */
  readonly broken: readonly string[];
}

interface SourcePage {
  /** Name of its file in the site, without `.html`. */
  readonly name: string;
  readonly section: string;
  readonly markdown: string;
  /** Folder of the repository that its links are relative to. */
  readonly folder: string;
}

const OUTSIDE = /^[a-z][a-z0-9+.-]*:/i;

/**
 * Builds the documentation as plain HTML that works from disk, without a server or network: every Markdown page of
 * docs/ and of the root, references generated from schema, contracts and command, and a search. Returns the broken
 * links.
 */
export function buildSite({ root, out, commands }: SiteOptions): BuiltSite {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const sources = readSources(root, commands);
  const names = new Set(sources.map(({ name }) => name));
  const copied = new Set<string>();
  const rendered = new Map<string, RenderedPage>();
  for (const page of sources)
    rendered.set(
      page.name,
      renderPage(page.markdown, (address) => siteAddress(page, address, { root, names, copied })),
    );
  const menu = menuOf(sources, rendered);
  for (const [name, page] of rendered)
    writeFileSync(join(out, `${name}.html`), pageHtml({ title: page.title, body: page.html, menu, name }));
  writeFileSync(
    join(out, 'index.html'),
    '<!doctype html><meta http-equiv="refresh" content="0; url=README.html">',
  );
  for (const file of copied) {
    mkdirSync(dirname(join(out, 'files', file)), { recursive: true });
    cpSync(join(root, file), join(out, 'files', file));
  }
  writeFileSync(join(out, 'style.css'), STYLE);
  writeFileSync(
    join(out, 'search-index.js'),
    `window.searchIndex = ${JSON.stringify(searchIndex(rendered))};\n`,
  );
  const library = fileURLToPath(import.meta.resolve('minisearch'));
  cpSync(join(dirname(dirname(library)), 'umd', 'index.js'), join(out, 'minisearch.js'));
  writeFileSync(join(out, 'search.js'), SEARCH_SCRIPT);
  return { pages: rendered.size, broken: brokenLinks(root, sources, rendered, names) };
}

function readSources(root: string, commands: string): SourcePage[] {
  const sectionOf = (name: string) =>
    Object.entries(SECTIONS).find(([, pages]) => pages.includes(name))?.[0] ?? 'More';
  const read = (path: string, section?: string): SourcePage => {
    const name = basename(path, '.md');
    const markdown = readFileSync(join(root, path), 'utf8');
    return { name, section: section ?? sectionOf(name), markdown, folder: dirname(path) };
  };
  const markdownIn = (folder: string) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith('.md'))
      .sort()
      .map((file) => join(folder, file));
  const made = (name: string, markdown: string): SourcePage => ({
    name,
    section: sectionOf(name),
    markdown,
    folder: 'docs',
  });
  const schema = JSON.parse(readFileSync(join(root, 'model', 'model.schema.json'), 'utf8')) as object;
  const pages = [
    ...ROOT_PAGES.map((name) => read(`${name}.md`)),
    ...markdownIn('docs').map((path) => read(path)),
    ...markdownIn('docs/decisions').map((path) => read(path, DECISIONS)),
    made('reference-commands', commands),
    made('reference-manifest', manifestReference(schema)),
    made('reference-contracts', contractsReference(root)),
  ];
  const order = [...Object.values(SECTIONS).flat(), ...pages.map(({ name }) => name)];
  return pages.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

interface SiteContext {
  readonly root: string;
  readonly names: ReadonlySet<string>;
  /** Files that pages link to and that are not pages; they are copied. */
  readonly copied: Set<string>;
}

/** The address in the site for a link of the repository. A broken link is left unchanged, and reported. */
function siteAddress(page: SourcePage, address: string, { root, names, copied }: SiteContext): string {
  if (OUTSIDE.test(address) || address.startsWith('#')) return address;
  const [path = '', anchor] = address.split('#');
  const file = relative(root, join(root, page.folder, path));
  const name = basename(file, '.md');
  if (file.endsWith('.md') && names.has(name) && /^(docs\/(decisions\/)?)?[^/]+$/.test(file))
    return `${name}.html${anchor === undefined ? '' : `#${anchor}`}`;
  const target = join(root, file);
  if (!file.startsWith('..') && existsSync(target) && statSync(target).isFile()) {
    copied.add(file);
    return `files/${file}`;
  }
  return address;
}

function brokenLinks(
  root: string,
  sources: readonly SourcePage[],
  rendered: ReadonlyMap<string, RenderedPage>,
  names: ReadonlySet<string>,
): string[] {
  const broken: string[] = [];
  for (const page of sources)
    for (const address of rendered.get(page.name)?.links ?? []) {
      if (OUTSIDE.test(address)) {
        if (!URL.canParse(address)) broken.push(`${page.name}: ${address}`);
        continue;
      }
      const [path = '', anchor] = address.split('#');
      const file = path === '' ? `${page.name}.md` : relative(root, join(root, page.folder, path));
      const name = basename(file, '.md');
      const isPage = file.endsWith('.md') && names.has(name);
      const isThere = isPage || (!file.startsWith('..') && existsSync(join(root, file)));
      const hasAnchor = anchor === undefined || (isPage && rendered.get(name)?.anchors.has(anchor) === true);
      if (!isThere || !hasAnchor) broken.push(`${page.name}: ${address}`);
    }
  return broken;
}

function menuOf(
  sources: readonly SourcePage[],
  rendered: ReadonlyMap<string, RenderedPage>,
): Map<string, { name: string; title: string }[]> {
  const menu = new Map<string, { name: string; title: string }[]>();
  for (const section of [...Object.keys(SECTIONS), 'More', DECISIONS]) {
    const pages = sources
      .filter((page) => page.section === section)
      .map(({ name }) => ({ name, title: rendered.get(name)?.title ?? name }));
    if (pages.length > 0) menu.set(section, pages);
  }
  return menu;
}

/** The data for the search in the browser: one entry per heading. */
function searchIndex(rendered: ReadonlyMap<string, RenderedPage>): object {
  const index = new MiniSearch({
    fields: ['heading', 'text', 'title'],
    storeFields: ['heading', 'title', 'address'],
  });
  let id = 0;
  for (const [name, { title, parts }] of rendered)
    for (const { anchor, heading, text } of parts)
      index.add({ id: id++, title, heading, text, address: `${name}.html#${anchor}` });
  return index.toJSON();
}
