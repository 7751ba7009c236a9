import { StoreError, type Partition } from '@grapevine/core'
import type { MetaWord } from './key-layout.ts'

/** As it is kept beside the rows that it is about. */
export interface Checkpoint {
  /** Of the last batch that is in them. */
  readonly number: number
  readonly partitions: readonly Partition[]
  readonly words: readonly MetaWord[]
}

/** Which rows there are of those that only their names tell apart: one that is lost would look like one that never was. */
export class Inventory {
  readonly partitions: Set<Partition> = new Set()
  readonly words: Set<MetaWord> = new Set()

  rows(): Pick<Checkpoint, 'partitions' | 'words'> {
    return { partitions: [...this.partitions], words: [...this.words] }
  }

  /** @throws {StoreError} `data_missing` */
  refuseLacking(checkpoint: Checkpoint | undefined): void {
    const partition = checkpoint?.partitions.find((each) => !this.partitions.has(each))
    const word = checkpoint?.words.find((each) => !this.words.has(each))
    if (partition !== undefined || word !== undefined)
      throw new StoreError('data_missing', `the database lost ${word ?? `the row of partition ${partition}`}`)
  }
}
