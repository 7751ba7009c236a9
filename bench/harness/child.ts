import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Five nodes at once on a machine that is busy with something else take their time. */
const READY_MS_MAX = 300_000
const STOP_MS_MAX = 20_000
/** `USER_HZ`, in which /proc counts: 100 wherever Node runs. */
const TICKS_PER_SECOND = 100

// Without a handler these end the process at once, and what it started lives on.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

/** A process that this benchmark started, and ends. It never outlives the benchmark. */
export class Child {
  readonly #process: ChildProcess
  readonly #logFile: string
  readonly #name: string
  readonly #onExit: () => void

  private constructor(name: string, child: ChildProcess, logFile: string) {
    this.#name = name
    this.#process = child
    this.#logFile = logFile
    this.#onExit = () => void child.kill('SIGKILL')
    process.on('exit', this.#onExit)
  }

  static start(name: string, command: string, args: readonly string[], logFile: string): Child {
    const log = openSync(logFile, 'a')
    try {
      return new Child(name, spawn(command, args, { stdio: ['ignore', log, log] }), logFile)
    } finally {
      closeSync(log)
    }
  }

  get pid(): number {
    const { pid } = this.#process
    if (pid === undefined) throw new Error(`${this.#name} did not start`)
    return pid
  }

  /** Waits until `check` says yes; what it throws means not yet. */
  async untilReady(check: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + READY_MS_MAX
    while (!(await check().catch(() => false))) {
      if (this.#hasEnded) throw new Error(`${this.#name} ended: ${await this.#lastWords()}`)
      if (performance.now() > deadlineMs) throw new Error(`${this.#name} was not ready: ${await this.#lastWords()}`)
      await sleep(5)
    }
  }

  /** Asks it to stop, and makes it. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    process.off('exit', this.#onExit)
    if (this.#hasEnded) return
    const ended = new Promise<void>((resolve) => {
      this.#process.once('exit', () => resolve())
    })
    this.#process.kill(signal)
    const force = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX)
    await ended
    clearTimeout(force)
  }

  /** Seconds of CPU that it has used so far, all threads. `NaN` where there is no /proc. */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8').catch(() => '')
    // The name in the second field may hold anything, so count from its closing parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }

  /** MiB as /proc/PID/status names them: `VmRSS`, `VmHWM`, `RssAnon`, `RssFile`. */
  async memoryMiB(field: 'VmRSS' | 'VmHWM' | 'RssAnon' | 'RssFile'): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined
  }

  async #lastWords(): Promise<string> {
    return (await readFile(this.#logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n')
  }
}

/** Ports nobody listens on. All are held until all are found, so no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve)
      })
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Whether somebody listens there. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
