import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

const MAIN = resolve(import.meta.dirname, '../../packages/cli/dist/main.js')

export interface CommandRun {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the `grapevine` command as a user would. */
export function grapevine(args: readonly string[]): Promise<CommandRun> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  return new Promise((settle, fail) => {
    child.once('error', fail)
    child.once('close', (code) => settle({ code, out, err }))
  })
}
