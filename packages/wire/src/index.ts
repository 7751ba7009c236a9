export * from './accept-answer.ts'
export * from './answer-frame.ts'
export * from './frame.ts'
export * from './scan.ts'
