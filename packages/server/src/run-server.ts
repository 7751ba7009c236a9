import { StoreError } from '@grapevine/core'
import { loadServerConfig } from './config/server-config.ts'
import { optionsHelp } from './config/describe.ts'
import { ConfigError, type Loaded } from './config/load.ts'
import { parseHostPort } from './config/option-types.ts'
import type { ServerConfig } from './config/options.ts'
import { buildServer } from './build-server.ts'
import { openLog, type ServerLog } from './log.ts'
import { ServerMetrics } from './metrics/server-metrics.ts'
import { explainStartupFailure } from './startup-failure.ts'
import { systemClock, systemHash, systemRandom, systemTimers } from './system-ports.ts'
import { openNode, type NodePorts, type OpenNode } from './wiring.ts'

export const EXIT_GOOD = 0
export const EXIT_ERROR = 1
export const EXIT_USAGE = 2
/** Its own, so that whoever restarts what ended does not start a second node on a directory again and again. */
export const EXIT_LOCKED = 7
const HANG_UP_EVERY_MS = 50

const HELP = `Runs one node of a Grapevine cluster.

Usage: grapevine server [options]

Examples:
  grapevine server --name n1 --data-dir ./n1 --found
  grapevine server --config /etc/grapevine.yaml --seed n1.example.org:7701

Each option also has an environment variable, --data-dir for one GRAPEVINE_DATA_DIR, and a place in the file.

  --config <file>  YAML or JSON
`

export interface RunOptions {
  /** Opens the node; tests put their own here. */
  readonly open?: (config: ServerConfig, ports: NodePorts) => Promise<OpenNode>
  /** Told to stop, beside SIGTERM and SIGINT. */
  readonly signal?: AbortSignal
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
}

/**
 * A node from its start to its end. Resolves with the exit code when it was told to stop and has done so.
 * @param argv without the program's name.
 */
export async function runServer(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  options: RunOptions = {},
): Promise<number> {
  const { stdout = process.stdout, stderr = process.stderr } = options
  if (argv.includes('--help') || argv.includes('-h')) {
    stdout.write(`${HELP}${optionsHelp()}\n`)
    return EXIT_GOOD
  }
  let loaded: Loaded<ServerConfig>
  try {
    loaded = loadServerConfig({ argv, env })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    stderr.write(`The configuration cannot be used:\n  ${error.message.replaceAll('\n', '\n  ')}\n`)
    return EXIT_USAGE
  }
  const { config } = loaded
  const log = openLog(config.logLevel, config.name)
  for (const warning of loaded.warnings) log.warn('configuration', { warning })

  const stop = new StopRequest(options.signal)
  try {
    await serveOn(loaded, log, stop, options.open ?? openNode)
    return EXIT_GOOD
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return EXIT_GOOD
    const explained = explainStartupFailure(error, config)
    if (explained === undefined) log.error('fatal', { error })
    stderr.write(
      `grapevine: ${explained ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
    )
    return error instanceof StoreError && error.code === 'locked' ? EXIT_LOCKED : EXIT_ERROR
  } finally {
    stop.close()
    log.flush()
  }
}

/** One replica after the other: whoever finds that it is none any more begins anew, empty (frontier.md R13). */
async function serveOn(
  loaded: Loaded<ServerConfig>,
  log: ServerLog,
  stop: StopRequest,
  open: NonNullable<RunOptions['open']>,
): Promise<void> {
  // What is set aside once on request is not what comes after it.
  for (let { config } = loaded; ; config = { ...config, rebuild: false }) {
    const ended = await serve({ ...loaded, config }, log, stop, open)
    if (ended === undefined) return
    if (stop.signal.aborted || !(await ended.node.beginsAnewAfter(ended.error))) throw ended.error
  }
}

/** Resolves with what ended the node, once it is closed; with nothing when it was told to stop. */
async function serve(
  loaded: Loaded<ServerConfig>,
  log: ServerLog,
  stop: StopRequest,
  open: NonNullable<RunOptions['open']>,
): Promise<{ readonly node: OpenNode; readonly error: unknown } | undefined> {
  const { config } = loaded
  const ports = { clock: systemClock, timers: systemTimers, random: systemRandom, hash: systemHash, log }
  const metrics = new ServerMetrics(systemClock)
  const node = await open(config, { ...ports, measures: metrics.measures })
  const departure = Promise.withResolvers<void>()
  const app = buildServer({
    ...ports,
    replica: node.replica,
    loaded,
    metrics,
    draining: () => stop.signal.aborted,
    left: () => departure.resolve(),
  })
  try {
    const { host, port } = parseHostPort(config.listen) ?? { host: '127.0.0.1', port: 0 }
    const url = await app.listen({ host, port })
    const { identity } = node.replica.status()
    log.info('listening', {
      url,
      advertise: config.advertise,
      peerAdvertise: config.peerAdvertise,
      clusterId: identity.cluster,
      nodeId: identity.replica,
      dataDir: config.dataDir,
    })
    const failure = await Promise.race([
      stop.requested,
      departure.promise,
      node.failed.catch((error: unknown) => ({ error })),
    ])
    if (failure !== undefined) return { node, ...failure }
    log.info('draining', { timeoutMs: config.drainTimeout })
  } finally {
    // Requests that are still under way after that are cut off; their clients count them as unknown.
    const cutOff = setTimeout(() => app.server.closeAllConnections(), config.drainTimeout)
    // Connections that were in use are kept alive by Node once they are answered.
    const hangUp = setInterval(() => app.server.closeIdleConnections(), HANG_UP_EVERY_MS)
    await app.close()
    clearTimeout(cutOff)
    clearInterval(hangUp)
    await node.replica.stop()
    await node.close()
    metrics.close()
  }
  log.info('stopped')
  return undefined
}

/** SIGTERM, SIGINT or the caller. A second one ends the process at once. */
class StopRequest {
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly requested: Promise<void>

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer
    this.requested = new Promise((resolve) => this.signal.addEventListener('abort', () => resolve(), { once: true }))
    process.on('SIGTERM', this.#onSignal)
    process.on('SIGINT', this.#onSignal)
    outer?.addEventListener('abort', this.#onAbort)
    if (outer?.aborted === true) this.#onAbort()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  close(): void {
    process.off('SIGTERM', this.#onSignal)
    process.off('SIGINT', this.#onSignal)
    this.#outer?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#controller.abort()

  readonly #onSignal = (): void => {
    // Whoever asks twice has waited long enough; what is acknowledged is on disk.
    if (this.signal.aborted) process.exit(EXIT_ERROR)
    this.#controller.abort()
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
