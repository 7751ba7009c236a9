import { spawn, type ChildProcess } from 'node:child_process'
import { openSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { eventually } from './condition.ts'

const MAIN = resolve(import.meta.dirname, '../../packages/server/dist/main.js')

export interface ProcessNode {
  readonly name: string
  /** The name that it is started with, when that is another node's. */
  readonly goesBy?: string
  readonly dataDir: string
  readonly logFile: string
  clientPort: number
  peerPort: number
  process: ChildProcess | undefined
}

/** The parts of a member that tests look at. */
export interface MemberSeen {
  readonly name: string
  readonly nodeId: string
  readonly state: string
}

export interface DivergenceSeen {
  readonly converged: boolean
  readonly replicas: readonly { readonly name: string; readonly root: string | null }[]
  readonly pairs: readonly { readonly a: string; readonly b: string; readonly estimatedKeys: number }[]
}

/** What a process is started in. */
export interface World {
  readonly env?: Readonly<Record<string, string>>
  /** A program that runs it, with its arguments. */
  readonly under?: readonly string[]
}

/** A cluster of real processes on loopback, each with a data directory of its own below a temporary one. */
export class ProcessCluster {
  readonly directory: string
  readonly nodes: ProcessNode[]
  readonly #flags: readonly string[]

  private constructor(directory: string, nodes: ProcessNode[], flags: readonly string[]) {
    this.directory = directory
    this.nodes = nodes
    this.#flags = flags
    process.on('exit', this.#onExit)
  }

  /** Also when the tests are ended before they are through. */
  readonly #onExit = (): void => {
    for (const { process: running } of this.nodes) running?.kill('SIGKILL')
  }

  /** Starts so many nodes, the first as founder, and waits until all are ready. */
  static async start(count: number, flags: readonly string[] = []): Promise<ProcessCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'grapevine-'))
    const ports = await freePorts(count * 2)
    const nodes = Array.from({ length: count }, (_, index): ProcessNode => {
      const name = `n${index + 1}`
      return {
        name,
        dataDir: join(directory, name),
        logFile: join(directory, `${name}.log`),
        clientPort: ports[index * 2] ?? 0,
        peerPort: ports[index * 2 + 1] ?? 0,
        process: undefined,
      }
    })
    const cluster = new ProcessCluster(directory, nodes, flags)
    try {
      for (const { name } of nodes) await cluster.launch(name)
      await cluster.untilReady()
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  node(name: string): ProcessNode {
    const node = this.nodes.find((candidate) => candidate.name === name)
    if (node === undefined) throw new Error(`there is no node ${name}`)
    return node
  }

  /** Sets up a node with a copy of another one's data directory, which nobody uses meanwhile, and under that one's name. */
  async copy(name: string, to: string): Promise<void> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2)
    const copied: ProcessNode = {
      name: to,
      goesBy: name,
      dataDir: join(this.directory, to),
      logFile: join(this.directory, `${to}.log`),
      clientPort,
      peerPort,
      process: undefined,
    }
    await cp(this.node(name).dataDir, copied.dataDir, { recursive: true })
    this.nodes.push(copied)
  }

  url(name: string, path = ''): string {
    return `http://127.0.0.1:${this.node(name).clientPort}${path}`
  }

  /** Starts a node's process; it may not be ready yet. */
  async launch(name: string, more: readonly string[] = [], world: World = {}): Promise<ChildProcess> {
    const node = this.node(name)
    await mkdir(this.directory, { recursive: true })
    const log = openSync(node.logFile, 'a')
    const seeds = this.nodes
      .filter((other) => other !== node)
      .flatMap(({ peerPort }) => ['--seed', `127.0.0.1:${peerPort}`])
    const [program, ...before] = [...(world.under ?? []), process.execPath]
    const child = spawn(
      program ?? process.execPath,
      [
        ...before,
        MAIN,
        ...['--name', node.goesBy ?? name, '--data-dir', node.dataDir],
        ...['--listen', `127.0.0.1:${node.clientPort}`, '--peer-listen', `127.0.0.1:${node.peerPort}`],
        ...seeds,
        ...(node === this.nodes[0] ? ['--found'] : []),
        ...this.#flags,
        ...more,
      ],
      { stdio: ['ignore', log, log], env: { ...process.env, ...world.env } },
    )
    node.process = child
    return child
  }

  async untilReady(names: readonly string[] = this.nodes.map(({ name }) => name), withinMs = 20_000): Promise<void> {
    for (const name of names)
      await eventually(
        `${name} is ready`,
        async () => (await fetch(this.url(name, '/readyz'))).status === 200,
        withinMs,
      )
  }

  /** Starts a node and waits until it is ready. Returns how long that took, in milliseconds. */
  async restart(name: string): Promise<number> {
    const startedMs = performance.now()
    await this.launch(name)
    await this.untilReady([name])
    return performance.now() - startedMs
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.node(name).process?.kill(signal)
  }

  /** Ends a node's process and waits for its end. Returns its exit code, or the signal that ended it. */
  async end(name: string, signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<number | string> {
    const node = this.node(name)
    const child = node.process
    if (child === undefined) throw new Error(`${name} is not running`)
    const ended = new Promise<number | string>((settle) => {
      child.once('exit', (code, endedBy) => settle(code ?? endedBy ?? 'unknown'))
    })
    child.kill(signal)
    node.process = undefined
    return ended
  }

  /** New ports for every node, which must all be down. */
  async moveAll(): Promise<void> {
    const ports = await freePorts(this.nodes.length * 2)
    for (const [index, node] of this.nodes.entries()) {
      node.clientPort = ports[index * 2] ?? 0
      node.peerPort = ports[index * 2 + 1] ?? 0
    }
  }

  async members(name: string): Promise<readonly MemberSeen[]> {
    const body = (await (await fetch(this.url(name, '/v1/cluster/members'))).json()) as { members: MemberSeen[] }
    return body.members
  }

  async divergence(name: string): Promise<DivergenceSeen> {
    return (await (await fetch(this.url(name, '/v1/admin/divergence'))).json()) as DivergenceSeen
  }

  /** Waits until a node reports that all members hold the same. Returns how long that took, in milliseconds. */
  async untilConverged(name: string, withinMs = 60_000): Promise<number> {
    const startedMs = performance.now()
    await eventually('all replicas are equal', async () => (await this.divergence(name)).converged, withinMs, 100)
    return performance.now() - startedMs
  }

  async post(name: string, path: string, body: unknown = {}): Promise<Response> {
    return fetch(this.url(name, path), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }

  /** One number of a node's `/metrics`, its lines of that name summed up. */
  async metric(name: string, metric: string): Promise<number> {
    const text = await (await fetch(this.url(name, '/metrics'))).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`))
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  /** The log lines of one event. */
  async logged(name: string, event: string): Promise<Readonly<Record<string, unknown>>[]> {
    const text = await readFile(this.node(name).logFile, 'utf8')
    return text
      .split('\n')
      .filter((line) => line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Ends every process that was started here, and removes what they wrote. */
  async close(): Promise<void> {
    for (const { name, process: running } of this.nodes) {
      if (running === undefined || running.exitCode !== null) continue
      running.kill('SIGCONT')
      await this.end(name, 'SIGKILL')
    }
    process.off('exit', this.#onExit)
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Ports that nobody listens on now. Held together until all are known, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((listening) => {
        server.listen(0, '127.0.0.1', listening)
      })
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((closed) => {
          server.close(() => closed())
        }),
    ),
  )
  return ports
}
