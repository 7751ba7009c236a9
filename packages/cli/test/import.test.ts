import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommandLine } from '@grapevine/cli'
import { encodeBase64, type BatchRequest } from '@grapevine/contract'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deadUrl, FakeNode, json, problem } from '../../client/test/fake-node.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { FakeShell } from './fake-shell.ts'

let node: FakeNode
const held = new Map<string, string>()
/** What becomes of an operation, when it is not simply stored. */
let refuse: (key: string, attempt: number) => object | undefined
let inFlight = 0
let inFlightMost = 0

beforeAll(async () => {
  node = await FakeNode.start()
})
beforeEach(() => {
  held.clear()
  node.seen.length = 0
  refuse = () => undefined
  inFlight = 0
  inFlightMost = 0
  let attempt = 0
  node.handler = ({ url, body }, response) => {
    if (url === '/livez') return void response.writeHead(200).end('ok')
    const { ops }: BatchRequest = JSON.parse(String(body))
    attempt++
    inFlightMost = Math.max(inFlightMost, ++inFlight)
    const results = ops.map((op) => {
      const wrong = refuse(op.key, attempt)
      if (wrong !== undefined) return { status: 500, problem: wrong }
      if (op.op === 'put') held.set(op.key, Buffer.from(op.value, 'base64').toString())
      return { status: 204, etag: 'v' }
    })
    setTimeout(() => {
      inFlight--
      json(response, { results })
    }, 5)
  }
})
afterAll(() => node.stop())

async function importLines(lines: Iterable<string | Uint8Array>, ...flags: string[]) {
  const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url }, stdin: streamOf(lines) })
  const code = await runCommandLine(['import', 'b', '-', ...flags], shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

async function* streamOf(lines: Iterable<string | Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for (const line of lines) yield Buffer.concat([Buffer.from(line), Buffer.from('\n')])
}

const lineOf = (key: string, value: string): string => JSON.stringify({ key, value })
const problemOf = (code: string, extra: object = {}): object => ({
  code,
  status: 500,
  detail: `it is ${code}`,
  ...extra,
})

describe('import', () => {
  it('gives each key the time that its line names, and leaves the rest to the policy of the bucket', async () => {
    const { code } = await importLines([
      lineOf('by-policy', 'v'),
      '{"key":"short","value":"v","ttl":"30s"}',
      '{"key":"ever","value":"v","ttl":"none"}',
    ])
    expect(code).toBe(0)
    const { ops }: BatchRequest = JSON.parse(String(node.seen.find(({ url }) => url === '/v1/batch')?.body))
    expect(ops.map((op) => [op.key, op.op === 'put' && op.ttl])).toEqual([
      ['by-policy', undefined],
      ['short', '30s'],
      ['ever', 'none'],
    ])
  })

  it('names each line that is wrong, and writes the others', async () => {
    const lines = [
      lineOf('a', '1'),
      '{"key":"b","value":"v","contentType":"caf\u00e9"}',
      '{"key":"c","value":"v","contentType":""}',
      '{"key":"d","value":"v","ttl":"0s"}',
      Buffer.from('{"key":"caf\u00e9","value":"v"}', 'latin1'),
      lineOf('z', '2'),
    ]
    const { code, err } = await importLines(lines)
    expect(code).toBe(1)
    expect([...held]).toEqual([
      ['a', '1'],
      ['z', '2'],
    ])
    expect([...err.matchAll(/^line (\d): (.*)$/gm)].map(([, line, why]) => [line, why])).toEqual([
      ['2', '"contentType" must be 1 to 255 characters of ASCII'],
      ['3', '"contentType" must be 1 to 255 characters of ASCII'],
      ['4', '"ttl" must be a duration such as 30s or 7d, or none'],
      ['5', 'it is not UTF-8'],
    ])
  })

  it('writes in batches of at most 500, a few at once, and ends with counts', async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => lineOf(`k${index}`, `v${index}`))
    const { code, out, err } = await importLines(lines)
    expect({ code, out }).toEqual({ code: 0, out: '' })
    expect(err).toMatch(/^Imported 5 000 keys, 23\.9 kB in .*\.\n$/)
    expect(held.size).toBe(5_000)
    const batches = node.seen.filter(({ url }) => url === '/v1/batch')
    expect(batches).toHaveLength(10)
    expect(inFlightMost).toBeGreaterThan(1)
    expect(inFlightMost).toBeLessThanOrEqual(4)
  })

  it('lets the last of lines with one key win', async () => {
    const { code } = await importLines(Array.from({ length: 20 }, (_, index) => lineOf('same', String(index))))
    expect(code).toBe(0)
    expect(held.get('same')).toBe('19')
    expect(inFlightMost).toBe(1)
  })

  it('names lines that are wrong, or refused, and writes the others', async () => {
    refuse = (key) => (key === 'large' ? problemOf('too_large', { outcome: 'not-applied' }) : undefined)
    const { code, out, err } = await importLines(['nope', lineOf('a', '1'), '', lineOf('large', '2')], '-o', 'json')
    expect(code).toBe(1)
    expect(err).toContain('line 1: it is not JSON\n')
    expect(err).toContain('line 4: it is too_large\n')
    expect(err).toContain('; 2 lines failed.\n')
    expect(JSON.parse(out)).toEqual({ bucket: 'b', imported: 1, bytes: 1, failed: 2 })
  })

  it('names the first twenty only, and counts all', async () => {
    const { err } = await importLines(Array.from({ length: 30 }, () => 'nope'))
    expect(err.match(/^line /gm)).toHaveLength(20)
    expect(err).toContain('30 lines failed')
  })

  it('sends again what was not taken, or perhaps not', async () => {
    refuse = (key, attempt) => {
      if (attempt > 2) return undefined
      if (key === 'a') return problemOf('overloaded', { retryable: true, outcome: 'not-applied' })
      return key === 'b' ? problemOf('timeout', { outcome: 'unknown' }) : undefined
    }
    const { code, err } = await importLines([lineOf('a', '1'), lineOf('b', '2'), lineOf('c', '3')])
    expect(code).toBe(0)
    expect(err).toContain('Imported 3 keys')
    expect(Object.fromEntries(held)).toEqual({ a: '1', b: '2', c: '3' })
  })

  it('gives up when nobody takes anything for too long', async () => {
    refuse = () => problemOf('overloaded', { retryable: true, outcome: 'not-applied' })
    const { code, err } = await importLines([lineOf('a', '1')], '--patience', '50ms')
    expect(code).toBe(5)
    expect(err).toContain('Imported 0 keys')
  })

  it('does not begin without a cluster, or for no bucket', async () => {
    expect(await importLines([lineOf('a', '1')], '--endpoint', await deadUrl())).toMatchObject({ code: 5 })
    const shell = new FakeShell()
    expect(await runCommandLine(['import', 'No', '-'], shell)).toBe(2)
    expect(await runCommandLine(['import', 'b', '/nonexistent', '--endpoint', node.url], shell)).toBe(1)
  })

  it('stops when it is interrupted, though its input does not end', async () => {
    async function* endless(): AsyncGenerator<Uint8Array, void, void> {
      yield Buffer.from(`${lineOf('a', '1')}\n`)
      await new Promise(() => {})
    }
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url }, stdin: endless() })
    const running = runCommandLine(['import', 'b'], shell)
    await expect.poll(() => node.seen.length).toBe(1)
    shell.interrupt.abort()
    expect(await running).toBe(130)
  })
})

describe('export', () => {
  it('writes what import reads', async () => {
    const items = [
      { key: 'a', etag: 'v', size: 7, contentType: 'application/json', value: encodeBase64(Buffer.from('{"x":1}')) },
      { key: '_w', keyEncoding: 'base64url', etag: 'v', size: 1, contentType: 'x/y', value: '/w==' },
    ]
    node.handler = (_, response) => json(response, { items, cursor: null, complete: true })
    const file = join(await temporaryDirectory(), 'out.ndjson')
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    expect(await runCommandLine(['export', 'b', file, '--prefix', 'a'], shell)).toBe(0)
    expect(await runCommandLine(['export', 'b'], shell)).toBe(0)
    const lines =
      '{"key":"a","value":{"x":1},"contentType":"application/json"}\n' +
      '{"key":"_w","keyEncoding":"base64url","base64":"/w==","contentType":"x/y"}\n'
    expect(await readFile(file, 'utf8')).toBe(lines)
    expect(shell.stdout.text).toBe(lines)
    expect(shell.stderr.text).toMatch(/^Exported 2 keys, 8 B in /)
    expect(node.seen[0]?.url).toContain('prefix=a')
  })

  it('leaves what was there before alone when it fails in the middle', async () => {
    const directory = await temporaryDirectory()
    const file = join(directory, 'out.ndjson')
    await writeFile(file, 'before')
    const item = { key: 'a', etag: 'v', size: 1, contentType: 'x/y', value: 'AA==' }
    node.handler = ({ url }, response) =>
      url.includes('cursor')
        ? problem(response, 404, 'not_found')
        : json(response, { items: [item], cursor: 'c', complete: false })
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    expect(await runCommandLine(['export', 'b', file], shell)).toBe(3)
    expect(await readFile(file, 'utf8')).toBe('before')
    expect(await readdir(directory)).toEqual(['out.ndjson'])
  })

  it('says what it had to leave out', async () => {
    node.handler = (_, response) => {
      response.setHeader('grapevine-corrupt-rows', '3')
      json(response, { items: [], cursor: null, complete: true })
    }
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    expect(await runCommandLine(['export', 'b'], shell)).toBe(6)
    expect(shell.stderr.text).toContain('3 keys could not be read')
  })

  it('says when it cannot', async () => {
    node.handler = (_, response) => problem(response, 404, 'not_found')
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    expect(await runCommandLine(['export', 'b', '/nonexistent/x'], shell)).toBe(1)
    expect(await runCommandLine(['export', 'b'], shell)).toBe(3)
  })
})
