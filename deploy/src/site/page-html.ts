import { escapeHtml } from './render-page.ts';

export interface PageParts {
  readonly title: string;
  /** HTML. */
  readonly body: string;
  readonly menu: ReadonlyMap<string, readonly { readonly name: string; readonly title: string }[]>;
  readonly name: string;
}

/** One page of the site. */
export function pageHtml({ title, body, menu, name }: PageParts): string {
  const links = [...menu]
    .map(
      ([section, pages]) =>
        `<h2>${escapeHtml(section)}</h2><ul>${pages
          .map(
            (page) =>
              `<li><a href="${page.name}.html"${page.name === name ? ' aria-current="page"' : ''}>${escapeHtml(page.title)}</a></li>`,
          )
          .join('')}</ul>`,
    )
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: https:">
<title>${escapeHtml(title)} - Hotloop</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<a class="skip" href="#content">To the content</a>
<nav aria-label="Pages"><a class="home" href="README.html">Hotloop</a>
<label for="search">Search</label><input id="search" type="search" autocomplete="off"><ol id="found" aria-live="polite"></ol>
${links}</nav>
<main id="content">
${body}
</main>
<script src="minisearch.js"></script><script src="search-index.js"></script><script src="search.js"></script>
</body>
</html>
`;
}

export const STYLE = `:root { color-scheme: light dark; --line: #8884; --link: light-dark(#0b57d0, #8ab4f8) }
body { display: grid; grid-template-columns: 17rem minmax(0, 60rem); gap: 2rem; margin: 0; font: 16px/1.55 system-ui, sans-serif }
nav { padding: 1rem; border-right: 1px solid var(--line); position: sticky; top: 0; max-height: 100vh; overflow: auto; box-sizing: border-box; font-size: 14px }
nav h2 { font-size: 12px; text-transform: uppercase; letter-spacing: .05em; margin: 1rem 0 .25rem }
nav ul, nav ol { list-style: none; margin: 0; padding: 0 } nav li { padding: .1rem 0 }
nav a[aria-current] { font-weight: 600 } .home { font-size: 20px; font-weight: 700; display: block; margin-bottom: .5rem }
input { width: 100%; box-sizing: border-box; padding: .35rem; font: inherit }
main { padding: 1rem 1rem 6rem } a { color: var(--link) } .anchor { opacity: 0; text-decoration: none } :is(h1, h2, h3, h4):hover .anchor, .anchor:focus { opacity: 1 }
pre { overflow: auto; padding: .75rem; border: 1px solid var(--line); border-radius: 6px; font-size: 14px } code { font-family: ui-monospace, monospace; font-size: .92em }
table { border-collapse: collapse; display: block; overflow: auto } th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
img { max-width: 100% } .skip { position: absolute; left: -100rem } .skip:focus { left: 1rem }
@media (max-width: 50rem) { body { display: block } nav { position: static; max-height: none; border: 0 } }
`;

export const SEARCH_SCRIPT = `'use strict';
const index = MiniSearch.loadJS(window.searchIndex, { fields: ['heading', 'text', 'title'], storeFields: ['heading', 'title', 'address'] });
const field = document.getElementById('search');
const found = document.getElementById('found');
field.addEventListener('input', () => {
  const results = index.search(field.value, { prefix: true, fuzzy: 0.15, boost: { heading: 3, title: 2 } }).slice(0, 12);
  found.replaceChildren(...results.map(({ address, heading, title }) => {
    const item = document.createElement('li');
    const link = document.createElement('a');
    link.href = address;
    link.textContent = heading === title ? title : title + ': ' + heading;
    item.append(link);
    return item;
  }));
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target instanceof HTMLInputElement) return;
  event.preventDefault();
  field.focus();
});
`;
