import { readFile } from 'node:fs/promises'
import { GrapevineError } from '@grapevine/client'
import { connect, type Grapevine } from '@grapevine/client/admin'
import { ENDPOINT_DEFAULT } from '@grapevine/contract'
import type { Call, FlagSpec } from './command.ts'
import { dataDirOf, readDevFile } from './dev/dev-file.ts'
import { CommandError, EXIT } from './exit-code.ts'

/** Options that say which cluster is meant. */
export const CLUSTER_FLAGS: Readonly<Record<string, FlagSpec>> = {
  endpoint: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'A node, as URL or by name; repeatable (GRAPEVINE_ENDPOINTS, with commas)',
  },
  'data-dir': {
    type: 'string',
    value: 'DIR',
    help: 'The data directory of `grapevine dev` (GRAPEVINE_DATA_DIR; ./.grapevine)',
  },
  token: { type: 'string', value: 'TOKEN', help: 'Access token (GRAPEVINE_TOKEN, GRAPEVINE_TOKEN_FILE)' },
  timeout: { type: 'string', value: 'DURATION', help: 'How long to wait for an answer (10s)' },
}

/** A client of the cluster that is meant. `discover`: go on with other nodes when these fail, for long work. */
export async function openCluster(
  call: Call,
  { discover = false }: { readonly discover?: boolean } = {},
): Promise<Grapevine> {
  return open(call, await endpointsOf(call), discover)
}

/** A client of one certain node, named as the user likes: `n1`, `127.0.0.1:7710`, a URL. */
export async function openNode(call: Call, node: string): Promise<Grapevine> {
  return open(call, [await urlOfNode(call, node)], false)
}

/** A client of the node that was named, or of the cluster when none was. */
export function openNodeOrCluster(call: Call, node: string | undefined): Promise<Grapevine> {
  return node === undefined ? openCluster(call) : openNode(call, node)
}

/**
 * Where to send requests: `--endpoint`, else `GRAPEVINE_ENDPOINTS`, else the local cluster of the data directory,
 * else the default port of this machine.
 */
export async function endpointsOf(call: Call): Promise<readonly string[]> {
  const given = givenEndpoints(call)
  if (given.length > 0) return Promise.all(given.map((endpoint) => urlOfNode(call, endpoint)))
  const dev = await readDevFile(dataDirOf(call.flags, call.shell.env))
  return dev === undefined ? [ENDPOINT_DEFAULT] : dev.nodes.map(({ url }) => url)
}

export async function urlOfNode(call: Call, node: string): Promise<string> {
  if (node.includes('://')) return node
  if (/^[^/]+:\d+$/.test(node)) return `http://${node}`
  const dev = await readDevFile(dataDirOf(call.flags, call.shell.env))
  const local = dev?.nodes.find(({ name }) => name === node)
  if (local !== undefined) return local.url
  // Only those given as URLs can be asked for the others' names.
  const known = givenEndpoints(call).filter((endpoint) => /:/.test(endpoint))
  const asked = known.length > 0 ? known : dev === undefined ? [ENDPOINT_DEFAULT] : dev.nodes.map(({ url }) => url)
  await using grapevine = await open(call, asked.map(withScheme), false)
  const { members } = await grapevine.admin.members({ signal: call.signal }).catch((cause: unknown) => {
    const why = cause instanceof GrapevineError ? cause.message : String(cause)
    throw new CommandError(`Where ${node} is could not be found out: ${why}`, {
      exitCode: EXIT.unreachable,
      next: `name it by its URL, or name a live node with --endpoint URL`,
      cause,
    })
  })
  const member = members.find(({ name, nodeId }) => name === node || nodeId === node)
  if (member !== undefined) return member.url
  const names = members.map(({ name }) => name).join(', ')
  throw new CommandError(`There is no node ${JSON.stringify(node)}: members are ${names}.`, {
    exitCode: EXIT.notFound,
    next: 'grapevine members',
  })
}

function givenEndpoints({ flags, shell }: Call): readonly string[] {
  const endpoints = flags.texts('endpoint')
  if (endpoints.length > 0) return endpoints
  return (shell.env['GRAPEVINE_ENDPOINTS'] ?? '')
    .split(',')
    .map((endpoint) => endpoint.trim())
    .filter((endpoint) => endpoint !== '')
}

function withScheme(endpoint: string): string {
  return endpoint.includes('://') ? endpoint : `http://${endpoint}`
}

async function open(call: Call, endpoints: readonly string[], discover: boolean): Promise<Grapevine> {
  const timeoutMs = call.flags.duration('timeout')
  // One command is no session: the next one knows nothing of it.
  return connect(endpoints, { token: await tokenOf(call), timeoutMs, discover, session: false })
}

async function tokenOf({ flags, shell }: Call): Promise<string | undefined> {
  // An empty variable is one that is not set.
  const token = flags.text('token') ?? (shell.env['GRAPEVINE_TOKEN'] || undefined)
  const file = shell.env['GRAPEVINE_TOKEN_FILE'] || undefined
  if (token !== undefined || file === undefined) return token
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`The token in GRAPEVINE_TOKEN_FILE cannot be read: ${why}.`, {
      exitCode: EXIT.usage,
      next: 'name another file, or none: nodes ask for no token',
      cause,
    })
  })
  return text.trim()
}
