import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import type { PageCommands } from './page.ts'

// The client library in a browser, against what `npm start` starts.

const TOP = resolve(import.meta.dirname, '../..')
const GRAPEVINE = join(TOP, 'packages/cli/dist/main.js')
const BASE_PORT = 24_000 + (process.pid % 100) * 40
const ENDPOINTS = [0, 10, 20].map((step) => `http://127.0.0.1:${BASE_PORT + step}`)
const CHROMIUM = spawnSync('which', ['chromium'], { encoding: 'utf8' }).stdout.trim()

if (CHROMIUM === '') console.log('skipped: there is no chromium here; test/browser/prepare installs it as root')

describe.skipIf(CHROMIUM === '')('the client library in Chromium', () => {
  let dataDir: string
  let cluster: ChildProcess
  let site: Server
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'grapevine-browser-'))
    const args = ['dev', '--nodes', '3', '--base-port', String(BASE_PORT), '--data-dir', dataDir]
    cluster = spawn(process.execPath, [GRAPEVINE, ...args], { stdio: 'ignore' })
    await eventually('the cluster is ready', async () => readFile(join(dataDir, 'dev.json'), 'utf8'))
    site = await siteOf(await bundled())
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    page = await browser.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    await visit()
  })

  afterAll(async () => {
    await browser?.close()
    site?.close()
    const ended = new Promise((done) => {
      cluster.once('exit', done)
    })
    cluster.kill('SIGINT')
    await ended
    await rm(dataDir, { recursive: true, force: true })
  })

  it('puts, gets, and watches what others write', async () => {
    expect(await command('put', 'mine', { from: 'page' })).toMatch(/./)
    expect(await command('get', 'mine')).toEqual({ from: 'page' })
    await command('watch')
    const url = `${ENDPOINTS[2]}/v1/kv/page/theirs`
    const init = { method: 'PUT', body: '{"from":"elsewhere"}', headers: { 'content-type': 'application/json' } }
    expect((await fetch(url, init)).status).toBe(204)
    await eventually('the page is told', async () => (await command('changes')).includes('theirs'))
    expect(await command('get', 'theirs')).toEqual({ from: 'elsewhere' })
  })

  it('keeps what is written without a cluster over a reload of the page, and sends it when the cluster is back', async () => {
    for (const name of ['n1', 'n2', 'n3']) await dev('stop', name)
    await command('note', 'offline', { kept: true })
    expect(await command('pending')).toBe(1)
    await visit()
    expect(await command('pending')).toBe(1)
    for (const name of ['n1', 'n2', 'n3']) await dev('restart', name)
    await command('flush')
    expect(await command('pending')).toBe(0)
    for (const endpoint of ENDPOINTS)
      await eventually(`${endpoint} has it`, async () => {
        const answer = await fetch(`${endpoint}/v1/kv/page/offline`)
        return answer.status === 200 && (await answer.text()) === '{"kept":true}'
      })
  })

  it('throws nothing that nobody catches', () => {
    expect(complaints).toEqual([])
  })

  async function visit(): Promise<void> {
    const address = site.address()
    await page.goto(`http://localhost:${typeof address === 'object' ? address?.port : ''}/`)
    await command('open', ENDPOINTS)
  }

  async function command<Name extends keyof PageCommands>(
    name: Name,
    ...args: Parameters<PageCommands[Name]>
  ): Promise<Awaited<ReturnType<PageCommands[Name]>>> {
    return page.evaluate<Awaited<ReturnType<PageCommands[Name]>>>(
      `commands[${JSON.stringify(name)}](...${JSON.stringify(args)})`,
    )
  }

  async function dev(...words: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, [GRAPEVINE, 'dev', ...words, '--data-dir', dataDir], { stdio: 'ignore' })
    expect(await new Promise((ended) => child.once('exit', ended))).toBe(0)
  }
})

/** As a site's own build would do it. */
async function bundled(): Promise<string> {
  const bundle = await rolldown({
    input: join(import.meta.dirname, 'page.ts'),
    platform: 'browser',
    resolve: { conditionNames: ['@grapevine/source', 'browser', 'import', 'default'] },
  })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  return output[0].code
}

/** One page with one script, on a port of its own. */
async function siteOf(script: string): Promise<Server> {
  const site = createServer(({ url }, response) => {
    const [type, body] =
      url === '/page.js' ? ['text/javascript', script] : ['text/html', '<script type="module" src="/page.js"></script>']
    response.setHeader('content-type', type ?? '').end(body)
  })
  await new Promise<void>((listening) => {
    site.listen(0, '127.0.0.1', listening)
  })
  return site
}
