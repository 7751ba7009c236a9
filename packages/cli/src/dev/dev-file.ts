import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Flags } from '../flags.ts'

/** `<data-dir>/dev.json`: there from the moment that all nodes are ready until a clean stop. Scripts read it. */
export interface DevFile {
  readonly clusterId: string
  readonly nodes: readonly DevFileNode[]
}

export interface DevFileNode {
  readonly name: string
  readonly url: string
  readonly peerUrl: string
  /** Null while the node is down. */
  readonly pid: number | null
  readonly dataDir: string
}

export const DATA_DIR_DEFAULT = '.grapevine'

/** Which local cluster is meant. */
export function dataDirOf(flags: Flags, env: Readonly<Record<string, string | undefined>>): string {
  return resolve(flags.text('data-dir') ?? (env['GRAPEVINE_DATA_DIR'] || DATA_DIR_DEFAULT))
}

/** What the file says, or `undefined` when there is none, or none that can be used. */
export async function readDevFile(dataDir: string): Promise<DevFile | undefined> {
  try {
    const file: unknown = JSON.parse(await readFile(pathOf(dataDir), 'utf8'))
    return isDevFile(file) ? file : undefined
  } catch {
    return undefined
  }
}

/** Whoever reads it sees the old content or the new one, never a part. */
export async function writeDevFile(dataDir: string, file: DevFile): Promise<void> {
  const path = pathOf(dataDir)
  await writeFile(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

export async function removeDevFile(dataDir: string): Promise<void> {
  await rm(pathOf(dataDir), { force: true })
}

function pathOf(dataDir: string): string {
  return join(dataDir, 'dev.json')
}

function isDevFile(file: unknown): file is DevFile {
  if (typeof file !== 'object' || file === null || !('nodes' in file) || !Array.isArray(file.nodes)) return false
  return file.nodes.every((node: unknown) => {
    if (typeof node !== 'object' || node === null || !('name' in node) || !('url' in node)) return false
    return typeof node.name === 'string' && typeof node.url === 'string'
  })
}
