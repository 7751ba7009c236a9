export * from './frame.ts'
export * from './scan.ts'
