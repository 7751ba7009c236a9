import { createHash } from 'node:crypto'
import { chmodSync, realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, request, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { CommandError, EXIT, exitCodeOf, type ExitCode } from '../exit-code.ts'
import type { DevCluster, NodeReport } from './dev-cluster.ts'

/** Unix allows about 104 bytes, depending on the system. */
const SOCKET_PATH_BYTES_MAX = 100

export const VERBS = ['start', 'stop', 'restart', 'pause', 'resume'] as const
export type Verb = (typeof VERBS)[number]

interface ControlAnswer {
  readonly nodes: readonly NodeReport[]
  readonly failure?: { readonly message: string; readonly next?: string; readonly exitCode: ExitCode }
}

/** Where `grapevine dev` listens for what the other `grapevine dev …` commands want of it. */
export function controlPathOf(dataDir: string): string {
  const real = realpathSync(dataDir)
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\grapevine-dev-${hash}`
  const path = join(real, 'dev.sock')
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? path : join(tmpdir(), `grapevine-dev-${hash}.sock`)
}

/** @throws {CommandError} when a `grapevine dev` runs on the directory. */
export async function refuseIfRunning(dataDir: string): Promise<void> {
  const path = existingPath(dataDir)
  if (path === undefined || (await ask(path)) === undefined) return
  throw new CommandError(`Another \`grapevine dev\` runs on ${dataDir}.`, {
    next: '`grapevine dev list`, `grapevine dev stop`, or another --data-dir and --base-port',
  })
}

/**
 * Listens, for as long as the cluster runs. It also is the lock: nobody else listens on this directory.
 * @throws {CommandError} when somebody does.
 */
export async function listenForControl(cluster: DevCluster, onStopAll: () => void): Promise<Server> {
  await refuseIfRunning(cluster.dataDir)
  const path = controlPathOf(cluster.dataDir)
  // Left behind by one that was killed.
  if (process.platform !== 'win32') await rm(path, { force: true })
  const server = createServer((message, response) => {
    const [, verb = '', name] = (message.url ?? '').split('/')
    message.resume()
    if (message.method === 'POST' && verb === 'stop' && name === undefined) {
      answer(response, { nodes: cluster.list() })
      response.once('close', onStopAll)
      return
    }
    void perform(cluster, message.method === 'POST' ? verb : 'list', name).then((result) => answer(response, result))
  })
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  if (process.platform !== 'win32') chmodSync(path, 0o600)
  return server
}

/** Asks the `grapevine dev` of a directory. @throws {CommandError} its own, or that there is none. */
export async function control(dataDir: string, verb?: Verb, node?: string): Promise<readonly NodeReport[]> {
  const path = existingPath(dataDir)
  const text = path === undefined ? undefined : await ask(path, verb, node)
  if (path === undefined || text === undefined)
    throw new CommandError(`No \`grapevine dev\` runs on ${dataDir}.`, {
      exitCode: EXIT.unreachable,
      next: 'start one with `grapevine dev`, or say which with --data-dir',
    })
  const { nodes, failure }: ControlAnswer = JSON.parse(text)
  if (verb === 'stop' && node === undefined) await untilGone(path)
  if (failure === undefined) return nodes
  const { message, next, exitCode } = failure
  throw new CommandError(message, { exitCode, ...(next !== undefined && { next }) })
}

/** It listens until its nodes have ended. */
async function untilGone(path: string): Promise<void> {
  while ((await ask(path)) !== undefined) await after(100)
}

async function perform(cluster: DevCluster, verb: string, name: string | undefined): Promise<ControlAnswer> {
  try {
    if (verb !== 'list') await doTo(cluster, verb, name)
    return { nodes: cluster.list() }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const next = error instanceof CommandError ? error.next : undefined
    const failure = { message, exitCode: exitCodeOf(error), ...(next !== undefined && { next }) }
    return { nodes: cluster.list(), failure }
  }
}

async function doTo(cluster: DevCluster, verb: string, name: string | undefined): Promise<void> {
  // Without a name all of them, one after the other, so that the others can take over meanwhile.
  const names = name === undefined ? cluster.list().map((node) => node.name) : [decodeURIComponent(name)]
  for (const each of names) {
    if (verb === 'start') await cluster.startNode(each)
    else if (verb === 'stop') await cluster.stopNode(each)
    else if (verb === 'restart') await cluster.restartNode(each)
    else if (verb === 'pause') await cluster.pauseNode(each)
    else if (verb === 'resume') await cluster.resumeNode(each)
    else throw new CommandError(`${verb} is not understood by the \`grapevine dev\` that runs here.`)
  }
}

function answer(response: ServerResponse, body: ControlAnswer): void {
  response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify(body))
}

function existingPath(dataDir: string): string | undefined {
  try {
    return controlPathOf(dataDir)
  } catch {
    return undefined
  }
}

/** `undefined` when nobody listens. */
function ask(socketPath: string, verb?: Verb, node?: string): Promise<string | undefined> {
  const path = verb === undefined ? '/' : node === undefined ? `/${verb}` : `/${verb}/${encodeURIComponent(node)}`
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method: verb === undefined ? 'GET' : 'POST' }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (text += part))
      response.once('end', () => resolve(text))
      response.once('error', reject)
    })
    asking.once('error', (error: NodeJS.ErrnoException) => {
      const nobody = ['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(error.code ?? '')
      if (nobody) resolve(undefined)
      else reject(error)
    })
    asking.end()
  })
}
