import { existsSync, readdirSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEV_PORT_STEP } from '@grapevine/contract'
import { CommandError } from '../exit-code.ts'

export const NODES_MAX = 16
/** Says that a directory is ours, so that `--fresh` deletes nothing else. */
const MARKER = 'grapevine-dev'
const PORT_MAX = 65_535

export interface NodePlan {
  readonly name: string
  readonly listen: string
  readonly peerListen: string
  readonly url: string
  readonly peerUrl: string
  readonly dataDir: string
  readonly logFile: string
  /** What follows `grapevine server`. */
  readonly args: readonly string[]
}

export interface ClusterPlan {
  readonly dataDir: string
  readonly basePort: number
  readonly nodes: number
}

/** All that is decided before anything is started. Seeds are told anew each time, since the ports may have changed. */
export function planNodes({ dataDir, basePort, nodes }: ClusterPlan): readonly NodePlan[] {
  if (basePort + (nodes - 1) * DEV_PORT_STEP + 1 > PORT_MAX)
    throw new CommandError(`Ports from ${basePort} on are not enough for ${nodes} nodes.`, {
      next: 'choose a lower --base-port',
    })
  const places = Array.from({ length: nodes }, (_, index) => {
    const port = basePort + index * DEV_PORT_STEP
    const name = `n${index + 1}`
    return {
      name,
      port,
      listen: `127.0.0.1:${port}`,
      peerListen: `127.0.0.1:${port + 1}`,
      dataDir: join(dataDir, name),
    }
  })
  const founds = mayFound(dataDir)
  return places.map((place) => {
    const { name, listen, peerListen, dataDir: nodeDir } = place
    const others = places.filter((other) => other !== place)
    return {
      ...place,
      url: `http://${listen}`,
      peerUrl: `http://${peerListen}`,
      logFile: join(dataDir, `${name}.log`),
      args: [
        `--name=${name}`,
        `--data-dir=${nodeDir}`,
        `--listen=${listen}`,
        `--peer-listen=${peerListen}`,
        '--cors=http://localhost:*',
        '--cors=http://127.0.0.1:*',
        ...others.map((other) => `--seed=${other.peerListen}`),
        ...(name === 'n1' && founds ? ['--found'] : []),
      ],
    }
  })
}

/**
 * Whether n1 may found: it does nothing where there is data. But if n1 alone lost its own, founding would make a
 * second cluster of the same name beside the one that the others still are.
 */
function mayFound(dataDir: string): boolean {
  const holding = nodeDirectories(dataDir).filter((name) => readdirSync(join(dataDir, name)).length > 0)
  return holding.length === 0 || holding.includes('n1')
}

/** Makes the directory ours. @throws {CommandError} when it holds nodes that are not of a local cluster. */
export async function claimDirectory(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true })
  if (isOurs(dataDir)) return
  if (nodeDirectories(dataDir).length > 0)
    throw new CommandError(`${dataDir} holds something called n1 that \`grapevine dev\` did not make.`, {
      next: 'choose another --data-dir',
    })
  await writeFile(join(dataDir, MARKER), 'Made by `grapevine dev`, which may delete the nodes in here with --fresh.\n')
}

/** Deletes the nodes of a local cluster and their logs, and nothing that it did not make. */
export async function clearDirectory(dataDir: string): Promise<void> {
  if (!existsSync(dataDir) || readdirSync(dataDir).length === 0) return
  if (!isOurs(dataDir))
    throw new CommandError(`${dataDir} was not made by \`grapevine dev\`, so --fresh deletes nothing in it.`, {
      next: 'choose another --data-dir, or delete it yourself',
    })
  const made = readdirSync(dataDir).filter((name) => /^n\d{1,2}(\.log)?$/.test(name) || name.startsWith('dev.json'))
  await Promise.all(made.map((name) => rm(join(dataDir, name), { recursive: true, force: true })))
}

function isOurs(dataDir: string): boolean {
  return existsSync(join(dataDir, MARKER))
}

export function nodeDirectories(dataDir: string): string[] {
  if (!existsSync(dataDir)) return []
  return readdirSync(dataDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^n\d{1,2}$/.test(entry.name))
    .map(({ name }) => name)
}
