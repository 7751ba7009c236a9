import { CommandError, EXIT } from '../exit-code.ts'
import { removeDevFile, writeDevFile } from './dev-file.ts'
import type { NodePlan } from './layout.ts'
import { NodeProcess, type Launcher, type NodeProcessState } from './node-process.ts'

export interface NodeReport {
  readonly name: string
  readonly state: NodeProcessState
  readonly url: string
  readonly peerUrl: string
  readonly pid: number | null
  readonly dataDir: string
}

/**
 * The nodes of a local cluster and what is done to them. It restarts nobody by itself, and lives on when all nodes
 * are dead: how the others fare meanwhile is what people want to see.
 */
export class DevCluster {
  readonly dataDir: string
  readonly #nodes: readonly NodeProcess[]
  readonly #say: (line: string) => void
  readonly #stopping = new AbortController()
  /** One thing at a time for each node. */
  readonly #queues = new Map<string, Promise<unknown>>()
  #clusterId: string | undefined
  /** Writes of the file, one after the other. */
  #written: Promise<void> = Promise.resolve()

  constructor(dataDir: string, plans: readonly NodePlan[], launcher: Launcher, say: (line: string) => void) {
    this.dataDir = dataDir
    this.#say = say
    this.#nodes = plans.map(
      (plan) => new NodeProcess(plan, launcher, (node, how, wanted) => this.#onEnd(node, how, wanted)),
    )
  }

  /** Resolves when all nodes are ready and `dev.json` says so. */
  async start(): Promise<void> {
    const started = this.#nodes.map((node) => node.start(this.#stopping.signal))
    try {
      await Promise.all(started)
    } catch (error) {
      this.#stopping.abort()
      await Promise.allSettled(started)
      throw error
    }
    this.#clusterId = await clusterIdOf(this.#nodes.map(({ plan }) => plan.url))
    await this.#writeFile()
  }

  list(): readonly NodeReport[] {
    return this.#nodes.map(({ plan, state, pid }) => {
      const { name, url, peerUrl, dataDir } = plan
      return { name, state, url, peerUrl, pid, dataDir }
    })
  }

  startNode(name: string): Promise<void> {
    return this.#do(name, (node) => node.start(this.#stopping.signal))
  }

  stopNode(name: string): Promise<void> {
    return this.#do(name, (node) => node.stop())
  }

  /** Resolves when the node is ready again. */
  restartNode(name: string): Promise<void> {
    return this.#do(name, async (node) => {
      await node.stop()
      await node.start(this.#stopping.signal)
    })
  }

  pauseNode(name: string): Promise<void> {
    return this.#do(name, async (node) => node.pause())
  }

  resumeNode(name: string): Promise<void> {
    return this.#do(name, async (node) => node.resume())
  }

  /** All nodes end in order, and `dev.json` goes. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#nodes.map((node) => node.stop()))
    await this.#written
    await removeDevFile(this.dataDir)
  }

  kill(): void {
    for (const node of this.#nodes) node.kill()
  }

  async #do(name: string, act: (node: NodeProcess) => Promise<void>): Promise<void> {
    const node = this.#nodes.find(({ plan }) => plan.name === name)
    if (node === undefined) {
      const names = this.#nodes.map(({ plan }) => plan.name).join(', ')
      throw new CommandError(`There is no node ${JSON.stringify(name)}: there are ${names}.`, {
        exitCode: EXIT.notFound,
        next: 'grapevine dev list',
      })
    }
    const done = (this.#queues.get(name) ?? Promise.resolve()).then(async () => {
      if (this.#stopping.signal.aborted) throw new CommandError('The cluster is stopping.')
      await act(node)
      await this.#writeFile()
    })
    this.#queues.set(
      name,
      done.catch(() => {}),
    )
    return done
  }

  #onEnd(node: NodeProcess, how: string, wanted: boolean): void {
    const { name } = node.plan
    if (!wanted) this.#say(`${name} ended (${how}). Start it again with: grapevine dev restart ${name}`)
    void this.#writeFile()
  }

  /** Not before all were ready once, and not any more when they are being stopped. */
  #writeFile(): Promise<void> {
    this.#written = this.#written.then(async () => {
      if (this.#clusterId === undefined || this.#stopping.signal.aborted) return
      const nodes = this.list().map(({ state: _state, ...node }) => node)
      await writeDevFile(this.dataDir, { clusterId: this.#clusterId, nodes }).catch((error: unknown) => {
        this.#say(`dev.json cannot be written: ${String(error)}`)
      })
    })
    return this.#written
  }
}

/** Of whichever node answers: they are one cluster. */
async function clusterIdOf(urls: readonly string[]): Promise<string> {
  const response = await Promise.any(
    urls.map(async (url) => {
      const answer = await fetch(`${url}/v1/cluster`, { signal: AbortSignal.timeout(10_000) })
      if (answer.status === 200) return answer
      throw new CommandError(`${url} answered ${answer.status}.`)
    }),
  )
  const { clusterId }: { readonly clusterId: string } = JSON.parse(await response.text())
  return clusterId
}
