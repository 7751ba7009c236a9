import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommandLine } from '@grapevine/cli'
import { describe, expect, it, vi } from 'vitest'
import { FakeReplica } from '../../server/test/fake-replica.ts'
import { listening, testServer, type TestServer } from '../../server/test/serve.ts'
import { FakeShell } from './fake-shell.ts'
import { temporaryDirectory } from './temporary-directory.ts'

vi.setConfig({ testTimeout: 60_000 })

/** As the replica names it. */
const addressOf = (bucket: string, key: string): string => `${bucket}\0${key}`

interface Stand extends TestServer {
  readonly directory: string
  readonly url: string
}

async function stand(): Promise<Stand> {
  const replica = new FakeReplica()
  replica.put({ address: addressOf('carts', '1/a'), value: Buffer.alloc(100_000, 1) })
  replica.put({ address: addressOf('carts', '2/b'), value: Buffer.from('b') })
  replica.put({ address: addressOf('carts', 'deleted'), value: undefined })
  const server = testServer({ replica })
  const url = `http://127.0.0.1:${await listening(server.app)}`
  return { ...server, directory: await temporaryDirectory(), url }
}

async function run({ url }: Stand, line: readonly string[], shell = new FakeShell({ env: endpoints(url) })) {
  const code = await runCommandLine(['snapshot', ...line], shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text, bytes: Buffer.concat(shell.stdout.bytes) }
}

function endpoints(url: string): Record<string, string> {
  return { GRAPEVINE_ENDPOINTS: url }
}

describe('grapevine snapshot', () => {
  it('saves what it then finds whole without any node', async () => {
    const s = await stand()
    const file = join(s.directory, 'a.snapshot')
    const saved = await run(s, ['save', file, '-o', 'json'])
    expect({ ...saved, bytes: undefined }).toMatchObject({ code: 0, err: '' })
    const document: unknown = JSON.parse(saved.out)
    expect(document).toMatchObject({
      file,
      name: 'n1',
      takenAt: '2026-01-01T00:00:00.000Z',
      keys: 2,
      tombstones: 1,
      entries: 3,
      whole: true,
    })
    await s.app.close()
    const checked = await run(s, ['check', file, '-o', 'json'])
    expect([checked.code, JSON.parse(checked.out)]).toEqual([0, document])
    expect(await readdir(s.directory)).toEqual(['a.snapshot'])
  })

  it('saves no directory that is not that of a node, and not a node and a directory at once', async () => {
    const s = await stand()
    const file = join(s.directory, 'a.snapshot')
    const none = await run(s, ['save', file, '--from', s.directory])
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('is not the data directory of a node') })
    expect(await readdir(s.directory)).toEqual([])
    expect((await run(s, ['save', file, 'n1', '--from', s.directory])).code).toBe(2)
    expect((await run(s, ['restore', file, '--from', s.directory])).code).toBe(2)
  })

  it('goes through a pipe both ways', async () => {
    const s = await stand()
    const { bytes, code } = await run(s, ['save', '-'])
    expect(code).toBe(0)
    async function* piped(): AsyncGenerator<Uint8Array, void, void> {
      yield bytes
    }
    const restored = await run(s, ['restore', '-'], new FakeShell({ env: endpoints(s.url), stdin: piped() }))
    expect(restored).toMatchObject({
      code: 0,
      out: expect.stringContaining('3 entries read.\n          3  taken in\n'),
    })
    expect(s.replica.imported).toHaveLength(3)
  })

  it('takes in a file, exits 6 when something was left out, and names it', async () => {
    const s = await stand()
    const file = join(s.directory, 'a.snapshot')
    await run(s, ['save', file])
    s.replica.importFates.set(addressOf('carts', '2/b'), 'quarantined')
    s.replica.importFates.set(addressOf('carts', 'deleted'), 'refused')
    const report = join(s.directory, 'left-out.ndjson')
    const restored = await run(s, ['restore', file])
    expect(restored.code).toBe(6)
    expect(restored.out).toContain('  carts 2/b  quarantined\n')
    expect(restored.out).toContain('Next: grapevine snapshot restore FILE --as-new --quarantined')
    expect(await run(s, ['restore', file, '--report', report])).toMatchObject({ code: 6 })
    expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({
      bucket: 'carts',
      key: '2/b',
      why: 'quarantined',
    })
    expect(s.replica.writes).toBe(0)
    const anew = await run(s, ['restore', file, '--as-new', '--quarantined', '-o', 'json'])
    expect(anew.code).toBe(0)
    expect(JSON.parse(anew.out)).toMatchObject({ applied: 1, deleted: 1, quarantined: 1, written: 1 })
  })

  it('writes anew what was asked for', async () => {
    const s = await stand()
    const file = join(s.directory, 'a.snapshot')
    await run(s, ['save', file])
    s.replica.rows.clear()
    const restored = await run(s, ['restore', file, '--as-new', '--bucket', 'carts', '--prefix', '2/', '--absent'])
    expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('1  written anew') })
    expect([...s.replica.rows.keys()]).toEqual([addressOf('carts', '2/b')])
  })

  it('sends nothing of a file that is damaged, and keeps the old one when saving breaks off', async () => {
    const s = await stand()
    const file = join(s.directory, 'a.snapshot')
    await run(s, ['save', file])
    const bytes = await readFile(file)
    const damaged = join(s.directory, 'b.snapshot')
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1
    await writeFile(damaged, bytes)
    for (const line of [
      ['check', damaged],
      ['restore', damaged],
    ])
      expect(await run(s, line)).toMatchObject({ code: 1, err: expect.stringContaining('fails its checksum') })
    expect(s.replica.imported).toEqual([])
    const { view } = await s.replica.moment()
    const moment = s.replica.moment.bind(s.replica)
    s.replica.moment = async () => ({
      ...(await moment()),
      view: {
        ...view,
        // oxlint-disable-next-line require-yield -- It breaks off before the first.
        async *scan() {
          throw new Error('the disk failed')
        },
      },
    })
    const before = await readFile(file)
    expect(await run(s, ['save', file])).toMatchObject({ code: expect.any(Number), out: '' })
    expect(await readFile(file)).toEqual(before)
    expect((await readdir(s.directory)).toSorted()).toEqual(['a.snapshot', 'b.snapshot'])
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const s = await stand()
    const shell = new FakeShell({ env: endpoints(s.url) })
    shell.interrupt.abort()
    expect(await run(s, ['save', join(s.directory, 'a.snapshot')], shell)).toMatchObject({ code: 130 })
    expect(await readdir(s.directory)).toEqual([])
  })

  it.each([
    [['dance'], '"dance" is none of save, check and restore'],
    [['save'], 'Name the file'],
    [['restore', 'x', '--prefix', 'p'], '--prefix says what is written anew: add --as-new'],
    [['restore', 'x', '--quarantined'], '--quarantined says what is written anew: add --as-new'],
    [['check', 'x', 'n1'], '"n1" is one word too many'],
  ])('%j is wrong', async (line, message) => {
    const shell = new FakeShell()
    const code = await runCommandLine(['snapshot', ...line], shell)
    expect([code, shell.stderr.text]).toEqual([2, expect.stringContaining(message)])
  })
})
