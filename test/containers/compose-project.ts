import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '../support/condition.ts'
import type { DivergenceSeen, MemberSeen } from '../support/process-cluster.ts'

const TOP = resolve(import.meta.dirname, '../..')
const COMPOSE_FILE = 'deploy/compose.yaml'
const BASE_IMAGE = 'node:24-bookworm-slim'
/** What a build or a download may take at the most. */
const BUILD_MS_MAX = 480_000
/** What anything else that podman does may take. */
const COMMAND_MS_MAX = 120_000
/** A request that hangs must not outlast the deadline of the condition that it is asked for. */
const REQUEST_MS_MAX = 5_000

export const NODES = ['node1', 'node2', 'node3'] as const
export type NodeName = (typeof NODES)[number]

const run = promisify(execFile)

/** Why this machine cannot run containers, or `undefined` if it can. */
export async function whyNoContainers(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'containers on a bridge network need root'
  for (const command of ['podman', 'podman-compose'])
    if (!(await succeeds(command, ['--version']))) return `${command} is not installed, or does not run`
  if (await succeeds('podman', ['image', 'exists', BASE_IMAGE])) return undefined
  if (await succeeds('podman', ['pull', '--quiet', BASE_IMAGE], BUILD_MS_MAX)) return undefined
  return `the image ${BASE_IMAGE} is not here and cannot be fetched`
}

/** The nodes of `deploy/compose.yaml` as it is, under a project name, an image name and host ports of their own. */
export class ComposeProject {
  readonly image: string
  readonly #name: string
  readonly #ports: readonly number[]

  private constructor(name: string, ports: readonly number[]) {
    this.#name = name
    this.image = name
    this.#ports = ports
  }

  static async create(): Promise<ComposeProject> {
    return new ComposeProject(`grapevine-test-${process.pid}`, await freePorts(NODES.length))
  }

  async build(): Promise<void> {
    const output = await this.#compose(['build'], BUILD_MS_MAX)
    // podman-compose 1.0.3 ends with 0 even when what it ran did not.
    if (!(await succeeds('podman', ['image', 'exists', this.image]))) throw new Error(`no image was built:\n${output}`)
  }

  /** Creates and starts what is not there. */
  async up(): Promise<void> {
    await this.#compose(['up', '-d'])
    await this.untilReady()
  }

  async untilReady(nodes: readonly NodeName[] = NODES, withinMs = 60_000): Promise<void> {
    for (const node of nodes)
      await eventually(`${node} is ready`, async () => (await this.request(node, '/readyz')).ok, withinMs)
  }

  /** Removes all that was made here: containers, volumes, network, image. */
  async remove(): Promise<void> {
    await this.#compose(['down', '--volumes', '--timeout', '0'])
    await podman('network', 'rm', '--force', `${this.#name}_default`)
    await podman('rmi', '--force', this.image)
  }

  container(node: NodeName): string {
    return `${this.#name}_${node}_1`
  }

  /** From this host to a node's client port. */
  request(node: NodeName, path: string, init: RequestInit = {}): Promise<Response> {
    const port = this.#ports[NODES.indexOf(node)]
    return fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(REQUEST_MS_MAX), ...init })
  }

  async members(node: NodeName): Promise<readonly MemberSeen[]> {
    const body = (await (await this.request(node, '/v1/cluster/members')).json()) as { members: MemberSeen[] }
    return body.members
  }

  async divergence(node: NodeName): Promise<DivergenceSeen> {
    return (await (await this.request(node, '/v1/admin/divergence')).json()) as DivergenceSeen
  }

  /** The last that each node logged, to go with a failure. */
  async logs(): Promise<string> {
    const texts = await Promise.all(
      NODES.map(async (node) => {
        const { stdout, stderr } = await run('podman', ['logs', '--tail', '20', this.container(node)])
        return `${node}:\n${stdout}${stderr}`
      }),
    )
    return texts.join('\n')
  }

  async #compose(args: readonly string[], timeoutMs = COMMAND_MS_MAX): Promise<string> {
    const ports = this.#ports.map((port, index) => [`NODE${index + 1}_PORT`, String(port)])
    const env = {
      ...process.env,
      ...Object.fromEntries(ports),
      GRAPEVINE_IMAGE: this.image,
      // Podman's own format has no place for a health check.
      BUILDAH_FORMAT: 'docker',
      // Layers that are kept for the next build would be left behind.
      BUILDAH_LAYERS: 'false',
    }
    const { stdout, stderr } = await run('podman-compose', ['-p', this.#name, '-f', COMPOSE_FILE, ...args], {
      cwd: TOP,
      env,
      timeout: timeoutMs,
      maxBuffer: Infinity,
    })
    return `${stdout}${stderr}`
  }
}

/** Returns what the command wrote to its standard output, without the line's end. */
export async function podman(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('podman', args, { timeout: COMMAND_MS_MAX, maxBuffer: Infinity })
  return stdout.trimEnd()
}

async function succeeds(command: string, args: readonly string[], timeoutMs = COMMAND_MS_MAX): Promise<boolean> {
  return run(command, args, { timeout: timeoutMs }).then(
    () => true,
    () => false,
  )
}

/** Ports of this host that nobody listens on now. Held together until all are known, so that none comes twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((listening) => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            listening(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return ports
}
