import { execFileSync } from 'node:child_process'
import { mkdir, unlink, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const BALLAST_BYTES = 24 * 1024 * 1024
let cluster: ProcessCluster | undefined
let mounted: string | undefined

/** A small file system of its own, or why there is none. */
async function mountSmallDisk(directory: string): Promise<string | undefined> {
  await mkdir(directory, { recursive: true })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'grapevine-test', directory], { stdio: 'pipe' })
    mounted = directory
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

let reason: string | undefined
beforeAll(async () => {
  cluster = await ProcessCluster.start(1)
  await cluster.end('n1', 'SIGTERM')
  reason = await mountSmallDisk(join(cluster.directory, 'disk'))
})
afterAll(async () => {
  const node = cluster?.node('n1')
  if (node?.process !== undefined) await cluster?.end('n1', 'SIGKILL')
  if (mounted !== undefined) execFileSync('umount', [mounted])
  await cluster?.close()
})

describe('a disk that runs full', () => {
  it('loses nothing that was acknowledged, and writing goes on when there is room again', async (context) => {
    if (cluster === undefined || reason !== undefined) {
      console.log(`skipped: a small file system cannot be mounted here: ${reason}`)
      return context.skip()
    }
    const disk = join(cluster.directory, 'disk')
    await writeFile(join(disk, 'ballast'), randomBytes(BALLAST_BYTES))
    const node = cluster.node('n1')
    Object.assign(node, { dataDir: join(disk, 'n1') })
    await cluster.launch('n1', ['--write-buffer-size', '1MiB'])
    await cluster.untilReady(['n1'])
    const acknowledged: number[] = []
    const failures: { status: number; outcome?: string; code?: string }[] = []
    for (let key = 0; key < 400 && failures.length < 5; key++) {
      const { url, value } = { url: cluster.url('n1', `/v1/kv/full/k${key}`), value: valueOf(key) }
      const response = await fetch(url, { method: 'PUT', body: value })
      if (response.status === 204) acknowledged.push(key)
      else failures.push({ ...((await response.json()) as { outcome: string; code: string }), status: response.status })
    }
    expect(failures.length).toBeGreaterThan(0)
    for (const { outcome } of failures) expect(['unknown', 'not-applied']).toContain(outcome)

    await unlink(join(disk, 'ballast'))
    await eventually('writes are taken again', async () => {
      const response = await fetch(cluster?.url('n1', '/v1/kv/full/after') ?? '', { method: 'PUT', body: 'v' })
      return response.status === 204
    })
    await cluster.end('n1', 'SIGKILL')
    await cluster.restart('n1')
    const lost: number[] = []
    for (const key of acknowledged) {
      const response = await fetch(cluster.url('n1', `/v1/kv/full/k${key}`))
      if (!Buffer.from(await response.arrayBuffer()).equals(valueOf(key))) lost.push(key)
    }
    expect(lost).toEqual([])
    expect((await fetch(cluster.url('n1', '/v1/kv/full/after'))).status).toBe(200)
  })
})

/** 128 KiB that do not compress, the same for the same key. */
function valueOf(key: number): Buffer {
  const value = Buffer.alloc(128 * 1024)
  let state = key + 1
  for (let at = 0; at < value.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    value.writeUInt32LE(state, at)
  }
  return value
}
