import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { connect, type Grapevine } from '@grapevine/client/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { freePorts, ProcessCluster } from '../support/process-cluster.ts'
import { Cache } from './recipes/cache.ts'
import { Flags } from './recipes/feature-flags.ts'
import { claim } from './recipes/job-claim.ts'
import { stay, whoIsHere } from './recipes/presence.ts'
import { main as webSessions } from './recipes/web-sessions.ts'

// What the documentation shows is run here, against a cluster of real processes.

const TOP = resolve(import.meta.dirname, '../..')
const GROCERIES = join(import.meta.dirname, 'guide/groceries.ts')

let cluster: ProcessCluster
let work: string
let endpoints: string[]
let first: Grapevine
let second: Grapevine

beforeAll(async () => {
  cluster = await ProcessCluster.start(3)
  work = await mkdtemp(join(tmpdir(), 'grapevine-examples-'))
  endpoints = ['n1', 'n2', 'n3'].map((name) => cluster.url(name))
  first = await connect(cluster.url('n1'), { discover: false })
  second = await connect(cluster.url('n2'), { discover: false })
})

afterAll(async () => {
  await first.close()
  await second.close()
  await cluster.close()
  await rm(work, { recursive: true, force: true })
})

describe('the guide', () => {
  it('adds, shows and deletes', async () => {
    expect(await groceries(['more', 'milk', '2'])).toMatch(/^on (n[123], ){2}n[123]$/)
    await groceries(['more', 'milk'])
    expect(await groceries(['show'])).toBe('3 × milk')
    await groceries(['done', 'milk'])
    expect(await groceries(['show'])).toBe('')
  })

  it('watches, from what is there on', async () => {
    await groceries(['more', 'bread'])
    const watcher = start(['watch'], endpoints)
    let printed = ''
    watcher.stdout?.on('data', (chunk) => (printed += String(chunk)))
    await eventually('what is there is shown', () => printed === '1 × bread\n')
    await groceries(['more', 'bread'])
    await eventually('the change is shown', () => printed === '1 × bread\n2 × bread\n')
    await groceries(['done', 'bread'])
    await eventually('the end is shown', () => printed.endsWith('bread is done\n'))
    watcher.kill()
  })

  it('keeps what is noted without a cluster, and sends it later', async () => {
    const nobody = [`http://127.0.0.1:${await freePort()}`]
    expect(await groceries(['note', 'eggs', '6'], nobody)).toBe('1 kept here until there is a node to take them')
    expect(await groceries(['send'], nobody)).toBe('1 kept here until there is a node to take them')
    expect(await groceries(['send'])).toBe('sent')
    expect(await groceries(['show'])).toBe('6 × eggs')
    await groceries(['done', 'eggs'])
  })
})

describe('the recipe of', () => {
  it('sessions: a browser sees its own writes whichever server it comes to', async () => {
    expect(await webSessions(endpoints)).toBe(0)
  })

  it('feature flags: known at once, followed, and kept when nobody is there', async () => {
    await first.bucket('flags').put('dark', true)
    await using flags = await Flags.open(second)
    await eventually('the flag is known', () => flags.isOn('dark'))
    await first.bucket('flags').put('dark', false)
    await eventually('the flag is off', () => !flags.isOn('dark'))
    await first.bucket('flags').put('light', true)
    await eventually('the other flag is on', () => flags.isOn('light'))
    await first.bucket('flags').delete('light')
    await eventually('the other flag is gone', () => !flags.isOn('light'))
  })

  it('presence: whoever leaves is gone, and so is whoever says nothing any more', async () => {
    const leaving = new AbortController()
    const staying = stay(first, 'ann', leaving.signal)
    await first.bucket('here').put('bob', {}, { ttl: 1_000 })
    await eventually('both are here', async () => (await whoIsHere(second)).join() === 'ann,bob')
    await eventually('bob is gone', async () => (await whoIsHere(second)).join() === 'ann')
    leaving.abort()
    await staying
    await eventually('ann is gone', async () => (await whoIsHere(second)).length === 0)
  })

  it('a cache: made once, shared, and of use without a cluster', async () => {
    let made = 0
    const make = async (): Promise<unknown> => {
      made += 1
      return { made }
    }
    const cache = new Cache(first.bucket('cache'))
    const [one, other] = await Promise.all([cache.get('k', make), cache.get('k', make)])
    expect([one, other, made]).toEqual([{ made: 1 }, { made: 1 }, 1])
    await eventually('it is on the other node', async () => (await second.bucket('cache').get('k')) !== undefined)
    expect(await new Cache(second.bucket('cache')).get('k', make)).toEqual({ made: 1 })
    await using alone = await connect(`http://127.0.0.1:${await freePort()}`, { discover: false })
    expect(await new Cache(alone.bucket('cache')).get('k', make)).toEqual({ made: 2 })
  })

  it('a job claim: one of many wins, also when they claim at two nodes at once', async () => {
    for (let job = 0; job < 10; job++) {
      const claims = [first, second].flatMap((grapevine, node) =>
        [0, 1].map((worker) => claim(grapevine, `job-${job}`, `worker-${node}-${worker}`)),
      )
      expect((await Promise.all(claims)).filter((won) => won)).toHaveLength(1)
    }
  })
})

describe('the first example of', () => {
  it.each(['README.md', 'packages/client/README.md', 'packages/keyv/README.md', 'packages/unstorage/README.md'])(
    '%s runs',
    async (name) => {
      const [, example = ''] = /```ts\n([^]*?)```/.exec(await readFile(join(TOP, name), 'utf8')) ?? []
      const [one = '', two = ''] = endpoints
      // Beside its page, where a package finds what it and its users import.
      const file = join(TOP, dirname(name), `readme-${process.pid}.example.ts`)
      await writeFile(file, example.replaceAll('http://127.0.0.1:7700', one).replaceAll('http://127.0.0.1:7710', two))
      try {
        await output(spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 }))
      } finally {
        await rm(file)
      }
    },
  )
})

async function groceries(args: readonly string[], at: readonly string[] = endpoints): Promise<string> {
  return (await output(start(args, at))).trim()
}

function start(args: readonly string[], at: readonly string[]): ChildProcess {
  return spawn(process.execPath, [GROCERIES, ...args], {
    cwd: work,
    env: { ...process.env, GRAPEVINE_ENDPOINTS: at.join() },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  })
}

async function output(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.on('data', (chunk) => (text += String(chunk)))
  const code = await new Promise((ended) => {
    child.once('close', ended)
  })
  expect(code).toBe(0)
  return text
}

async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
