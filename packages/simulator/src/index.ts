export * from './checkers/all-checkers.ts'
export * from './checkers/checker-kind.ts'
export * from './history/history.ts'
export * from './history/json-lines.ts'
