export * from './history/history.ts'
