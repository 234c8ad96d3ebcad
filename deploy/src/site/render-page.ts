import { Marked, type Tokens } from 'marked';

export interface RenderedPage {
  readonly title: string;
  readonly html: string;
  /** Ids that links may refer to. */
  readonly anchors: ReadonlySet<string>;
  /** Addresses of links and images as in the Markdown. */
  readonly links: readonly string[];
  /** Text of each part, for the search. */
  readonly parts: readonly { readonly anchor: string; readonly heading: string; readonly text: string }[];
}

/** The id of a heading, as on GitHub. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** Markdown to HTML. `rewrite` maps an address of the repository to one of the site. Pure. */
export function renderPage(markdown: string, rewrite: (address: string) => string): RenderedPage {
  const anchors = new Set<string>();
  const links: string[] = [];
  const parts: { anchor: string; heading: string; text: string }[] = [];
  let title = '';
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        const plain = plainText(text);
        let anchor = anchorOf(plain);
        for (let again = 1; anchors.has(anchor); again++) anchor = `${anchorOf(plain)}-${again}`;
        anchors.add(anchor);
        if (title === '') title = plain;
        parts.push({ anchor, heading: plain, text: '' });
        return `<h${depth} id="${anchor}">${this.parser.parseInline(tokens)} <a class="anchor" href="#${anchor}">#</a></h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        links.push(href);
        return `<a href="${escapeHtml(rewrite(href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      image({ href, text }: Tokens.Image) {
        links.push(href);
        return `<img src="${escapeHtml(rewrite(href))}" alt="${escapeHtml(text)}">`;
      },
    },
    // Raw HTML would run in the reader's browser, so it is shown as text; comments are removed.
    hooks: { preprocess: (text: string) => text.replace(/<!--[\s\S]*?-->/g, '') },
  });
  marked.use({ renderer: { html: ({ text }: Tokens.HTML | Tokens.Tag) => escapeHtml(text) } });
  const html = marked.parse(markdown, { async: false });
  let current: { text: string } | undefined;
  for (const line of markdown.split('\n')) {
    const heading = /^#{1,6}\s+(.*)/.exec(line)?.[1];
    const found =
      heading === undefined ? undefined : parts.find((part) => part.heading === plainText(heading));
    if (found) current = found;
    else if (current) current.text += `${line}\n`;
  }
  return { title, html, anchors, links, parts };
}

function plainText(markdown: string): string {
  return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
}

export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"]/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character] ?? '',
  );
}
