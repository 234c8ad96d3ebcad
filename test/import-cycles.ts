/**
 * Import cycles among the files, type-only imports included, each as `a -> b -> a`. Found as strongly connected
 * components (Tarjan 1972), of which one cycle is named.
 *
 * @param resolve the repository path that a specifier in a file means; undefined for outside libraries.
 */
export function importCycles<File extends { readonly path: string }>(
  files: readonly File[],
  resolve: (path: string, specifier: string) => string | undefined,
  importsOf: (file: File) => readonly string[],
): string[] {
  const known = new Set(files.map(({ path }) => path));
  const edges = new Map<string, string[]>();
  for (const file of files) {
    const targets = importsOf(file)
      .map((specifier) => resolve(file.path, specifier))
      .filter((target): target is string => target !== undefined && known.has(target));
    edges.set(file.path, [...new Set(targets)].sort());
  }
  return componentsOf(edges).map((component) => cycleWithin(component, edges).join(' -> '));
}

/** Components of more than one file, or of one that imports itself. */
function componentsOf(edges: ReadonlyMap<string, readonly string[]>): Set<string>[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const waiting = new Set<string>();
  const found: Set<string>[] = [];
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node) ?? 0);
    stack.push(node);
    waiting.add(node);
    for (const target of edges.get(node) ?? []) {
      if (!index.has(target)) {
        visit(target);
        low.set(node, Math.min(low.get(node) ?? 0, low.get(target) ?? 0));
      } else if (waiting.has(target)) low.set(node, Math.min(low.get(node) ?? 0, index.get(target) ?? 0));
    }
    if (low.get(node) !== index.get(node)) return;
    const component = new Set<string>();
    for (;;) {
      const member = stack.pop() as string;
      waiting.delete(member);
      component.add(member);
      if (member === node) break;
    }
    if (component.size > 1 || edges.get(node)?.includes(node)) found.push(component);
  };
  for (const node of [...edges.keys()].sort()) if (!index.has(node)) visit(node);
  return found;
}

/** One shortest cycle through the first file of a component. */
function cycleWithin(
  component: ReadonlySet<string>,
  edges: ReadonlyMap<string, readonly string[]>,
): string[] {
  const start = [...component].sort()[0] as string;
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let node = queue.shift(); node !== undefined; node = queue.shift())
    for (const target of edges.get(node) ?? []) {
      if (!component.has(target)) continue;
      if (target === start) {
        const path = [start];
        for (let at = node; at !== start; at = cameFrom.get(at) as string) path.unshift(at);
        return [start, ...path];
      }
      if (!cameFrom.has(target)) {
        cameFrom.set(target, node);
        queue.push(target);
      }
    }
  return [start];
}
