import sortedBtree from 'sorted-btree'

/** Names of rows are byte strings. A clone costs nothing until one of the two changes. */
export type Rows = InstanceType<typeof sortedBtree.default<string, Buffer>>

export function noRows(): Rows {
  return new sortedBtree.default<string, Buffer>(undefined, sortedBtree.simpleComparator)
}
