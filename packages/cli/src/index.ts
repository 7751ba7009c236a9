export { runCommandLine } from './command-line.ts'
export { EXIT, type ExitCode } from './exit-code.ts'
export type { Output, Shell } from './shell.ts'
