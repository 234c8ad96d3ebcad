/** One token of SQL text with its kind and position. */
export interface SqlToken {
  readonly kind: 'word' | 'text' | 'quoted' | 'number' | 'symbol';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|(?<text>[eE]?'(?:[^']|'')*(?:'|$))|(?<quoted>"(?:[^"]|"")*(?:"|$))|(?<dollar>\$(?:[A-Za-z_]\w*)?\$)|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<number>\d+(?:\.\d+)?)|(?<symbol>[\s\S])/gu;

/** Splits SQL text into tokens, without spaces and comments. Never throws: an unclosed token ends with the text. */
export function scanSql(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match !== null && match[0] !== ''; match = TOKEN.exec(sql)) {
    const start = match.index;
    const groups = match.groups ?? {};
    if (groups.dollar !== undefined) {
      const close = sql.indexOf(groups.dollar, TOKEN.lastIndex);
      TOKEN.lastIndex = close < 0 ? sql.length : close + groups.dollar.length;
      tokens.push({ kind: 'text', text: sql.slice(start, TOKEN.lastIndex), start, end: TOKEN.lastIndex });
      continue;
    }
    const kind = (['text', 'quoted', 'word', 'number', 'symbol'] as const).find(
      (name) => groups[name] !== undefined,
    );
    if (kind) tokens.push({ kind, text: match[0], start, end: TOKEN.lastIndex });
  }
  return tokens;
}

/** The non-empty statements of a text, each with its position. */
export function splitStatements(sql: string): { readonly sql: string; readonly start: number }[] {
  const statements: { sql: string; start: number }[] = [];
  let first: SqlToken | undefined;
  let last: SqlToken | undefined;
  const close = () => {
    if (first && last) statements.push({ sql: sql.slice(first.start, last.end), start: first.start });
    first = undefined;
    last = undefined;
  };
  for (const token of scanSql(sql)) {
    if (token.kind === 'symbol' && token.text === ';') close();
    else {
      first ??= token;
      last = token;
    }
  }
  close();
  return statements;
}

/** The value of a text literal such as 'it''s'. */
export function literalOf(token: SqlToken): string {
  return token.text.slice(1, -1).replaceAll("''", "'");
}
