import { hostname } from 'node:os'
import { readFileSync } from 'node:fs'
import { reserveBytesFor, writeBufferBytesFor, WRITE_BUFFER_BYTES_MIN } from '@grapevine/core'
import { diskBytesAt } from './disk-bytes.ts'
import { ConfigError, loadConfig, type ConfigInput, type Loaded, type Mistake, type Source } from './load.ts'
import { formatHostPort, parseHostPort } from './option-types.ts'
import { OPTIONS, type ServerConfig } from './options.ts'

/**
 * The configuration of a node: what was given, what follows from it, and whether it fits together.
 * @throws {ConfigError} with all mistakes.
 */
export function loadServerConfig(input: ConfigInput): Loaded<ServerConfig> {
  const given = loadConfig(OPTIONS, input)
  const loaded = { ...given, config: withDerived(given.config, hostname(), diskBytesAt) }
  const mistakes = contradictions(loaded)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return loaded
}

/**
 * What is wrong with a configuration file by itself, without environment and flags; empty when nothing is.
 */
export function checkConfig(file: string, readFile: (path: string) => string = readText): readonly Mistake[] {
  try {
    loadServerConfig({ argv: ['--config', file], env: {}, readFile })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}

/** Fills in what the host, the disk and the listening addresses say. */
export function withDerived(
  config: ServerConfig,
  host: string,
  diskBytes: (directory: string) => number,
): ServerConfig {
  const writeBufferSize =
    config.writeBufferSize === 0 ? writeBufferBytesFor(diskBytes(config.dataDir)) : config.writeBufferSize
  return {
    ...config,
    name: config.name === '' ? nameFrom(host) : config.name,
    writeBufferSize,
    diskReserve: config.diskReserve === 0 ? reserveBytesFor(writeBufferSize) : config.diskReserve,
    advertise: config.advertise === '' ? reachable(config.listen, host) : config.advertise,
    peerAdvertise: config.peerAdvertise === '' ? reachable(config.peerListen, host) : config.peerAdvertise,
  }
}

function contradictions({ config, sources }: Loaded<ServerConfig>): Mistake[] {
  const mistakes: Mistake[] = []
  const say = (path: string, value: string, source: Source, message: string, hint: string): void => {
    mistakes.push({ path, value, source, message, hint })
  }
  if (config.found && config.rebuild)
    say('rebuild', 'true', sources.rebuild, 'contradicts found', 'found begins a cluster, rebuild comes back to one')
  if (config.restore !== '' && !config.found)
    say('restore', config.restore, sources.restore, 'needs found', 'a snapshot only begins a new cluster here')
  if (config.writeBufferSize < WRITE_BUFFER_BYTES_MIN)
    say(
      'writeBufferSize',
      OPTIONS.writeBufferSize.type.format(config.writeBufferSize),
      sources.writeBufferSize,
      'is less than 1MiB',
      'the largest value has to fit; or leave it to 0B',
    )
  if (config.diskReserve < 2 * config.writeBufferSize)
    say(
      'diskReserve',
      OPTIONS.diskReserve.type.format(config.diskReserve),
      sources.diskReserve,
      'is less than two of writeBufferSize',
      'a database with less space than that cannot be opened again; raise it, or leave it to 0B',
    )
  if (config.probeTimeout > config.probeInterval)
    say(
      'probeTimeout',
      OPTIONS.probeTimeout.type.format(config.probeTimeout),
      sources.probeTimeout,
      'is longer than probeInterval',
      'lower it, or raise probeInterval',
    )
  if (config.listen === config.peerListen && parseHostPort(config.listen)?.port !== 0)
    say('peerListen', config.peerListen, sources.peerListen, 'is also listen', 'clients and nodes need a port each')
  return mistakes
}

/** A wildcard is nowhere to connect to: the host's name stands in for it, which is what containers go by. */
function reachable(listen: string, host: string): string {
  const at = parseHostPort(listen)
  if (at === undefined || (at.host !== '0.0.0.0' && at.host !== '::')) return listen
  return formatHostPort({ host, port: at.port })
}

/** Only what a node's name may hold. */
function nameFrom(host: string): string {
  const name = host.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return name.slice(0, 63) || 'node'
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
