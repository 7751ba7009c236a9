import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster, type World } from '../support/process-cluster.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'

let cluster: ProcessCluster
let disk: SmallDisk

beforeEach(async () => {
  cluster = await ProcessCluster.start(1)
  await cluster.end('n1', 'SIGTERM')
  const directory = join(cluster.directory, 'disk')
  disk = mountSmallDisk(directory, '64m')
  if (disk.reason === undefined) Object.assign(cluster.node('n1'), { dataDir: join(directory, 'n1') })
})
afterEach(async () => {
  if (cluster.node('n1').process !== undefined) await cluster.end('n1', 'SIGKILL')
  disk.unmount()
  await cluster.close()
})

/** Starts a node that cannot start. Returns its exit code and its last words. */
async function startInVain(world: World = {}): Promise<{ code: number | null; said: string }> {
  const child = await cluster.launch('n1', ['--write-buffer-size', '1MiB'], world)
  await eventually('the node has given up', () => child.exitCode !== null)
  cluster.node('n1').process = undefined
  const log = await readFile(cluster.node('n1').logFile, 'utf8')
  return { code: child.exitCode, said: log.slice(log.lastIndexOf('grapevine: ')) }
}

async function fill(): Promise<void> {
  await cluster.launch('n1', ['--write-buffer-size', '1MiB', '--disk-reserve', '2MiB'])
  await cluster.untilReady(['n1'])
  for (let key = 0; key < 40; key++) {
    const put = await fetch(cluster.url('n1', `/v1/kv/b/k${key}`), { method: 'PUT', body: `v${key}`.repeat(2_000) })
    expect(put.status).toBe(204)
  }
  await cluster.end('n1', 'SIGKILL')
}

describe('a node says what is wrong and ends, once', () => {
  it('when its disk is mounted read-only', async (context: TestContext) => {
    if (disk.reason !== undefined) {
      console.log(`skipped: ${disk.reason}`)
      return context.skip()
    }
    await fill()
    disk.remount('ro')
    const { code, said } = await startInVain()
    expect(code).toBe(1)
    expect(said).toMatch(/read-only file system/i)
    disk.remount('rw')
    await cluster.restart('n1')
    expect((await fetch(cluster.url('n1', '/v1/kv/b/k7'))).status).toBe(200)
  })

  it('when it may not open enough files', async () => {
    await fill()
    // Node itself needs about twenty, and a database some more.
    const { code, said } = await startInVain({ under: ['sh', '-c', 'ulimit -n 26; exec "$@"', 'sh'] })
    expect(code).toBe(1)
    expect(said).toContain('ulimit -n')
    await cluster.restart('n1')
    expect((await fetch(cluster.url('n1', '/v1/kv/b/k7'))).status).toBe(200)
  })

  it('when there is a hole in its log', async () => {
    await fill()
    const directory = join(cluster.node('n1').dataDir, 'db')
    const logs = (await readdir(directory)).filter((name) => name.endsWith('.log'))
    const sizes = await Promise.all(logs.map(async (name) => (await stat(join(directory, name))).size))
    const log = join(directory, logs[sizes.indexOf(Math.max(...sizes))] ?? '')
    const bytes = await readFile(log)
    // LevelDB skips what does not add up to the end of its block of 32 KiB, and goes on behind it.
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1
    await writeFile(log, bytes)
    const { code, said } = await startInVain()
    expect(code).toBe(1)
    expect(said).toContain('lost batches')
    expect(said).toContain('--rebuild')
  })
})
