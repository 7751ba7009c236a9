export * from './history/history.ts'
export * from './history/json-lines.ts'
