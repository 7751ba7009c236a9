import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommandLine } from '@grapevine/cli'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deadUrl, FakeNode, json, problem } from '../../client/test/fake-node.ts'
import { COMMANDS } from '../src/commands/index.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { FakeShell, type FakeShellOptions } from './fake-shell.ts'

let node: FakeNode
beforeAll(async () => {
  node = await FakeNode.start()
})
beforeEach(() => {
  node.seen.length = 0
  node.handler = (_, response) => void response.writeHead(204, { etag: '"v1"', 'grapevine-acks': '2/3' }).end()
})
afterAll(() => node.stop())

async function run(line: readonly string[], options: FakeShellOptions = {}) {
  const shell = new FakeShell({ ...options, env: { GRAPEVINE_ENDPOINTS: node.url, ...options.env } })
  const code = await runCommandLine(line, shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text, bytes: Buffer.concat(shell.stdout.bytes) }
}

describe('help', () => {
  it.each(COMMANDS.map(({ name }) => name).filter((name) => name !== 'server'))(
    'of %s has two examples',
    async (name) => {
      const { code, out, err } = await run([name, '--help'])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      const examples = out.split('Examples:\n')[1]?.trimEnd().split('\n') ?? []
      expect(examples.length).toBeGreaterThanOrEqual(2)
      for (const example of examples) expect(example).toContain('grapevine ')
    },
  )

  it('of the whole names every command, and asks for one', async () => {
    const asked = await run(['--help'])
    expect(asked.code).toBe(0)
    for (const { name } of COMMANDS) expect(asked.out).toContain(`  ${name} `)
    expect(await run([])).toMatchObject({ code: 2, out: '', err: asked.out })
    expect(await run(['help', 'put'])).toMatchObject({ code: 0, out: expect.stringContaining('Usage: grapevine put') })
  })

  it('tells the version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^grapevine \d/) })
  })
})

describe('usage', () => {
  it.each([
    [['nope'], 'no command "nope"'],
    [['get'], 'Something is missing'],
    [['get', 'b', 'k', 'x'], '"x" is one word too many'],
    [['get', 'b', 'k', '--nope'], "Unknown option '--nope'"],
    [['get', 'b', 'k', '-o', 'xml'], '--output must be one of'],
    [['get', 'b', 'k', '--timeout', 'soon'], '--timeout must be a duration'],
    [['get', 'No', 'k'], 'no bucket name'],
    [['get', 'b', ''], 'key is empty'],
    [['get', 'b', '=', '--base64url'], 'not base64url'],
    [['put', 'b', 'k'], 'value is missing'],
    [['put', 'b', 'k', 'v', '--file', 'f'], 'two values'],
    [['put', 'b', 'k', 'v', '--w', 'most'], '--w must be'],
    [['put', 'b', 'k', 'v', '--ttl', 'soon'], 'no duration'],
    [['put', 'b', 'k', 'v', '--if-absent', '--if-match', 'x'], 'exclude each other'],
    [['bucket', 'b', '--ttl', 'soon'], '--ttl must be a duration'],
    [['bucket', 'b', '--ttl', '1m', '--no-ttl'], 'exclude each other'],
    [['list', 'b', '--limit', '0'], '--limit must be a number'],
    [['config', 'burn'], 'print and check'],
    [['config', 'check'], 'Name the file'],
    [['dev', 'dance'], 'dev cannot dance'],
    [['dev', 'pause'], 'Say which node'],
    [['dev', '--nodes', '17'], '--nodes must be a number from 1 to 16'],
    [['status', '--endpoint', 'ftp://x'], 'no endpoint'],
  ])('%j is wrong', async (line, message) => {
    const { code, out, err } = await run(line)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
    expect(err).toMatch(/\nNext: grapevine .*--help\n$/)
    expect(node.seen).toEqual([])
  })

  it('knows what is not there yet', async () => {
    expect(await run(['doctor', '--whatever'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('not implemented yet'),
    })
  })
})

describe('exit codes', () => {
  it.each([
    [404, 'not_found', ['inspect', 'b', 'k'], 3],
    [412, 'precondition_failed', ['put', 'b', 'k', 'v', '--if-absent'], 4],
    [503, 'quorum_not_met', ['put', 'b', 'k', 'v', '-w', 'all'], 5],
    [504, 'timeout', ['put', 'b', 'k', 'v', '-w', 'all'], 5],
    [507, 'disk_full', ['put', 'b', 'k', 'v'], 1],
    [500, 'io_error', ['delete', 'b', 'k'], 1],
    [400, 'bad_query', ['put', 'b', 'k', 'v', '-w', '9'], 2],
  ])('of %i %s', async (status, code, line, exitCode) => {
    node.handler = (_, response) => problem(response, status, code, { outcome: 'not-applied' })
    const { code: exit, out, err } = await run(line)
    expect({ exit, out }).toEqual({ exit: exitCode, out: '' })
    expect(err).toMatch(/^grapevine: .*\nNext: .+\n$/)
  })

  it('of a missing key is 3', async () => {
    node.handler = (_, response) => problem(response, 404, 'not_found')
    expect(await run(['get', 'b', 'k'])).toMatchObject({ code: 3, out: '', err: expect.stringContaining('Next: ') })
  })

  it('of nobody there is 5', async () => {
    const { code, err } = await run(['status', '--endpoint', await deadUrl()])
    expect(code).toBe(5)
    expect(err).toContain('grapevine dev')
  })

  it('of an interrupted command is 130', async () => {
    node.handler = () => {}
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    const running = runCommandLine(['get', 'b', 'k'], shell)
    await expect.poll(() => node.seen.length).toBe(1)
    shell.interrupt.abort()
    expect(await running).toBe(130)
  })
})

describe('values', () => {
  it('go out byte for byte, with what is told beside them on stderr', async () => {
    const value = Buffer.from([0xff, 0, 10])
    node.handler = (_, response) => void response.writeHead(200, { etag: '"v1"' }).end(value)
    const { code, bytes, err } = await run(['get', 'b', 'k'])
    expect({ code, bytes, err }).toEqual({ code: 0, bytes: value, err: '' })
    const shown = await run(['get', 'b', 'k', '-o', 'json'])
    expect(JSON.parse(shown.out)).toMatchObject({ bucket: 'b', key: 'k', base64: '/wAK', etag: 'v1' })
  })

  it('come from a word, a file or stdin', async () => {
    const file = join(await temporaryDirectory(), 'x.json')
    await writeFile(file, '{}')
    expect(await run(['put', 'b', 'k', 'v'])).toMatchObject({ code: 0, out: '', err: 'b/k is on 2 of 3 nodes.\n' })
    await run(['put', 'b', 'k', '--file', file])
    await run(['put', 'b', 'k', '-'], { stdin: 'from stdin' })
    await run(['put', 'b', 'k', ''])
    expect(node.seen.map(({ body, headers }) => [String(body), headers['content-type']])).toEqual([
      ['v', 'text/plain; charset=utf-8'],
      ['{}', 'application/json'],
      ['from stdin', 'application/octet-stream'],
      ['', 'text/plain; charset=utf-8'],
    ])
    expect(await run(['put', 'b', 'k', '--file', '/nonexistent'])).toMatchObject({ code: 1 })
  })

  it('begin with a dash behind two', async () => {
    expect(await run(['put', 'b', 'k', '--', '-5'])).toMatchObject({ code: 0 })
    expect(String(node.seen[0]?.body)).toBe('-5')
  })

  it('may be deleted, and options may stand before the command', async () => {
    const { code, out } = await run(['-o', 'json', '--endpoint', node.url, 'delete', 'b', '_w', '--base64url'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual({ bucket: 'b', key: '_w', etag: 'v1', acks: { count: 2, of: 3 } })
    expect(node.seen[0]?.url).toContain('/v1/kv/b/_w?')
    expect(node.seen[0]?.url).toContain('key_encoding=base64url')
  })
})

describe('list', () => {
  beforeEach(() => {
    const item = { key: 'a\u001b[31m', etag: 'v1', size: 1234, contentType: 'text/plain', value: 'eA==' }
    node.handler = (_, response) => json(response, { items: [item], cursor: null, complete: true })
  })

  it('is a table that a terminal does not obey', async () => {
    const { code, out, err } = await run(['list', 'b', '--prefix', 'a', '--limit', '5', '--reverse'])
    expect({ code, err }).toEqual({ code: 0, err: '1 key in b.\n' })
    expect(out).toMatch(/^KEY +SIZE +TYPE/)
    expect(out).toContain('a\\u001b[31m')
    expect(node.seen[0]?.url).toBe('/v1/kv/b?prefix=a&reverse=true&limit=5')
  })

  it('is JSON, or a line each', async () => {
    const { out } = await run(['list', 'b', '--values', '-o', 'json'])
    expect(JSON.parse(out)).toEqual([
      { key: 'a\u001b[31m', etag: 'v1', size: 1234, contentType: 'text/plain', value: 'x' },
    ])
    const lines = await run(['list', 'b', '-o', 'ndjson'])
    expect(
      lines.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ key: 'a\u001b[31m' }])
  })
})

describe('the token', () => {
  it('comes from a file, which has to be there', async () => {
    const file = join(await temporaryDirectory(), 'token')
    await writeFile(file, 'secret\n')
    node.handler = (_, response) => json(response, { members: [] })
    await run(['members'], { env: { GRAPEVINE_ENDPOINTS: node.url, GRAPEVINE_TOKEN_FILE: file } })
    expect(node.seen.at(-1)?.headers.authorization).toBe('Bearer secret')
    const lost = await run(['members'], { env: { GRAPEVINE_ENDPOINTS: node.url, GRAPEVINE_TOKEN_FILE: `${file}s` } })
    expect(lost).toMatchObject({ code: 2, err: expect.stringContaining('GRAPEVINE_TOKEN_FILE cannot be read') })
  })
})

describe('which node', () => {
  it('may be named by dev.json, host and port, or asked of a member', async () => {
    const dataDir = await temporaryDirectory()
    const dev = { clusterId: 'c', nodes: [{ name: 'n1', url: node.url, peerUrl: '', pid: null, dataDir: '' }] }
    await writeFile(join(dataDir, 'dev.json'), JSON.stringify(dev))
    node.handler = (_, response) =>
      json(response, { members: [{ name: 'n7', nodeId: 'x', url: node.url, self: true }] })
    const env = { GRAPEVINE_ENDPOINTS: '', GRAPEVINE_DATA_DIR: dataDir }
    for (const name of ['n1', node.url.replace('http://', ''), 'n7']) {
      const { code, out } = await run(['members', name, '-o', 'ndjson'], { env })
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({ name: 'n7' })
    }
    expect(await run(['members', 'n8'], { env })).toMatchObject({
      code: 3,
      err: expect.stringContaining('members are n7'),
    })
    expect(await run(['members', '-o', 'json'], { env })).toMatchObject({ code: 0 })
  })
})
