import { createRequire } from 'node:module'

// A CommonJS module with a default export: what `import` makes of that depends on who loads it, Node or vitest.
const sortedBtree = createRequire(import.meta.url)('sorted-btree') as typeof import('sorted-btree')

/** Names of rows are byte strings. A clone costs nothing until one of the two changes. */
export type Rows = InstanceType<typeof sortedBtree.default<string, Buffer>>

export function noRows(): Rows {
  return new sortedBtree.default<string, Buffer>(undefined, sortedBtree.simpleComparator)
}
