export * from './digest-sum.ts'
export * from './hash-tree.ts'
export * from './walk.ts'
