declare module 'merkle-tools' {
  export default class MerkleTools {
    constructor(options?: { hashType?: string })
    addLeaf(value: string | Buffer, doHash?: boolean): void
    addLeaves(values: readonly (string | Buffer)[], doHash?: boolean): void
    makeTree(doubleHash?: boolean): void
    getMerkleRoot(): Buffer | null
  }
}
