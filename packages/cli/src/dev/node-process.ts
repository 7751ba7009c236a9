import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import { CommandError } from '../exit-code.ts'
import type { NodePlan } from './layout.ts'

/** A node with data that reaches nobody waits 5 s for the others; opening after a crash may take as long again. */
const READY_TIMEOUT_MS = 30_000
const READY_INTERVAL_MS = 50
/** A node drains for up to 10 s. */
const STOP_TIMEOUT_MS = 15_000
const LOG_LINES_SHOWN = 15
const LOG_BYTES_READ = 16 * 1024

export type NodeProcessState = 'running' | 'paused' | 'down'

/** How to run `grapevine server`: the program, and what stands before the server's own options. */
export interface Launcher {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** One node of a local cluster, in a process of its own, through all its lives. */
export class NodeProcess {
  readonly plan: NodePlan
  readonly #launcher: Launcher
  /** Called when the process has ended, whoever ended it. */
  readonly #onEnd: (node: NodeProcess, how: string, wanted: boolean) => void
  #child: ChildProcess | undefined
  #paused = false
  #stopping = false

  constructor(plan: NodePlan, launcher: Launcher, onEnd: (node: NodeProcess, how: string, wanted: boolean) => void) {
    this.plan = plan
    this.#launcher = launcher
    this.#onEnd = onEnd
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  get state(): NodeProcessState {
    if (this.#child === undefined) return 'down'
    return this.#paused ? 'paused' : 'running'
  }

  /** Resolves when the node is ready. @throws {CommandError} with the end of its log when it does not become so. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#child !== undefined) return
    const log = openSync(this.plan.logFile, 'a')
    const { program, args, env } = this.#launcher
    // A group of its own, so that Ctrl-C in the terminal reaches the parent alone, which stops all in order. Over
    // the channel the node hears when the parent is gone without having done so.
    const child = spawn(program, [...args, ...this.plan.args], {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
      env: { ...env },
    })
    closeSync(log)
    this.#child = child
    this.#stopping = false
    child.once('error', () => this.#ended(child, 'it could not be started'))
    child.once('exit', (code, killer) => this.#ended(child, killer ?? `exit code ${code}`))
    await this.#becomeReady(child, signal)
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#stopping = true
    // The other way round it would lie there, stopped, with a signal that it cannot see.
    child.kill('SIGCONT')
    this.#paused = false
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#end(child)
    clearTimeout(timer)
  }

  kill(): void {
    this.#stopping = true
    this.#child?.kill('SIGKILL')
  }

  pause(): void {
    this.#running().kill('SIGSTOP')
    this.#paused = true
  }

  resume(): void {
    this.#running().kill('SIGCONT')
    this.#paused = false
  }

  #running(): ChildProcess {
    if (this.#child !== undefined) return this.#child
    const { name } = this.plan
    throw new CommandError(`${name} is down.`, { next: `grapevine dev restart ${name}` })
  }

  async #end(child: ChildProcess): Promise<void> {
    if (this.#child === child) await once(child, 'exit')
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.#paused = false
    this.#onEnd(this, how, this.#stopping)
  }

  async #becomeReady(child: ChildProcess, signal: AbortSignal): Promise<void> {
    const { name, url, logFile } = this.plan
    const deadlineMs = Date.now() + READY_TIMEOUT_MS
    while (this.#child === child && Date.now() < deadlineMs) {
      if (signal.aborted) throw new CommandError('Interrupted.', { cause: signal.reason })
      if (await isReady(url)) return
      await after(READY_INTERVAL_MS)
    }
    const what =
      this.#child === child ? `is not ready after ${READY_TIMEOUT_MS / 1_000} s` : 'ended before it was ready'
    const end = await lastLines(logFile)
    throw new CommandError(`${name} ${what}.${end === '' ? '' : ` Its log ends with:\n${end}`}`, {
      next: `look into ${logFile}; start over with \`grapevine dev --fresh\` if the data may go`,
    })
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}

async function lastLines(file: string): Promise<string> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    const from = Math.max(0, size - LOG_BYTES_READ)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOG_BYTES_READ), 0, LOG_BYTES_READ, from)
    const lines = buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n')
    return lines
      .slice(-LOG_LINES_SHOWN)
      .map((line) => `  ${line}`)
      .join('\n')
  } catch {
    return ''
  }
}
