export * from './level-store.ts'
export * from './open-directory.ts'
export * from './open-store.ts'
export * from './identity-file.ts'
