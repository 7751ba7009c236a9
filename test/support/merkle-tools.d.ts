declare module 'merkle-tools' {
  export default class MerkleTools {
    constructor(options?: { hashType?: string })
    addLeaves(values: readonly (string | Buffer)[], doHash?: boolean): void
    makeTree(doubleHash?: boolean): void
    getMerkleRoot(): Buffer | null
  }
}
