import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Child, freePorts } from '../harness/child.ts'
import type { Subject } from './subject.ts'

const MAIN = resolve(import.meta.dirname, '../../packages/server/dist/main.js')

export interface GrapevineOptions {
  /** For data, logs and, with `profile`, nothing else. */
  readonly directory: string
  /** Where a CPU profile goes when the node stops; empty for none. */
  readonly profile?: string
  readonly flags?: readonly string[]
}

export interface GrapevineNode extends Subject {
  readonly name: string
  readonly url: string
  /** `kill -9`, and the same directory again. Resolves with the milliseconds until it is ready. */
  crashAndRestart(): Promise<number>
  /** The same directory again, after its process was ended. */
  startAgain(): Promise<void>
}

/** One node with a cluster of its own, as it comes: no option differs from its default but ports and log level. */
export async function startGrapevine(options: GrapevineOptions): Promise<GrapevineNode> {
  const [node] = await startCluster(1, options)
  if (node === undefined) throw new Error('no node')
  return node
}

/** So many nodes of one cluster on this machine, all ready. */
export async function startCluster(count: number, options: GrapevineOptions): Promise<GrapevineNode[]> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: build first (npx tsc -b)`)
  await mkdir(options.directory, { recursive: true })
  const ports = await freePorts(count * 2)
  const nodes = Array.from({ length: count }, (_, index) => {
    const seeds = ports.filter((_port, at) => at % 2 === 1 && at !== index * 2 + 1)
    return new RunningNode(
      `n${index + 1}`,
      ports[index * 2] ?? 0,
      ports[index * 2 + 1] ?? 0,
      seeds,
      index === 0,
      options,
    )
  })
  // All at once: a founder that knows of others first looks whether one of them has a cluster already.
  for (const node of nodes) node.launch()
  await Promise.all(nodes.map((node) => node.untilReady()))
  return nodes
}

class RunningNode implements GrapevineNode {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly #command: readonly string[]
  readonly #founds: boolean
  readonly #logFile: string
  #child: Child | undefined

  constructor(
    name: string,
    port: number,
    peerPort: number,
    seeds: readonly number[],
    founds: boolean,
    { directory, profile = '', flags = [] }: GrapevineOptions,
  ) {
    this.name = name
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.#founds = founds
    this.#logFile = join(directory, `${name}.log`)
    this.#command = [
      ...(profile === '' ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
      // As `grapevine dev` and the container image start it.
      '--max-semi-space-size=16',
      MAIN,
      ...['--name', name, '--data-dir', join(directory, name), '--log-level', 'warn'],
      ...['--listen', `127.0.0.1:${port}`, '--peer-listen', `127.0.0.1:${peerPort}`],
      ...seeds.flatMap((seed) => ['--seed', `127.0.0.1:${seed}`]),
      ...flags,
    ]
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error(`${this.name} is not running`)
    return this.#child
  }

  launch(isNew = true): void {
    const args = [...this.#command, ...(this.#founds && isNew ? ['--found'] : [])]
    this.#child = Child.start(this.name, process.execPath, args, this.#logFile)
  }

  async untilReady(): Promise<void> {
    await this.child.untilReady(async () => (await fetch(`${this.url}/readyz`)).ok)
  }

  async crashAndRestart(): Promise<number> {
    await this.child.stop('SIGKILL')
    const startedMs = performance.now()
    await this.startAgain()
    return performance.now() - startedMs
  }

  async startAgain(): Promise<void> {
    this.launch(false)
    await this.untilReady()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.stop()
  }
}
