import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FORMER_IDS_MAX, type Identity } from '@grapevine/core'
import { FatalError, type FatalCode } from '@grapevine/replica'
import { formerOf } from '@grapevine/storage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addressesToAsk, beginAnew, joinerIn, rebuild } from '../src/begin-anew.ts'

let dataDir: string
let wallMs: number
const logged: (readonly [string, unknown])[] = []

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'grapevine-anew-'))
  wallMs = 0
  logged.length = 0
})
afterEach(() => rm(dataDir, { recursive: true }))

const note = (event: string, fields?: unknown): void => void logged.push([event, fields])
const context = () => ({
  dataDir,
  clock: { wallMs: () => (wallMs += 1_000) },
  log: { info: note, warn: note, error: note },
})

const idOf = (number: number): string => String(number).padStart(16, '0')

function identityOf(replica: string, stage: Identity['stage']): Identity {
  return { cluster: 'c'.repeat(32), replica, name: 'n3', stage, sponsor: '', incarnation: 1 }
}

async function oldestAside(): Promise<string> {
  const names = await readdir(dataDir)
  return names.toSorted().find((name) => name.startsWith('aside-')) ?? 'none'
}

const PEERS = [{ replica: 'b'.repeat(16), name: 'n1', address: 'n1:7701', clientUrl: '' }]

/** The replica of this id ends so, with data in its directory. */
async function ends(code: FatalCode, replica: string, stage: Identity['stage'] = 'member'): Promise<boolean> {
  await mkdir(join(dataDir, 'db'), { recursive: true })
  await writeFile(join(dataDir, 'db', replica), '')
  return beginAnew(new FatalError(code, 'It ended.'), { identity: identityOf(replica, stage), peers: PEERS }, context())
}

describe('a node whose replica has ended', () => {
  it.each<FatalCode>(['evicted', 'rolled_back'])('begins anew when it was %s, and keeps what it held', async (code) => {
    expect(await ends(code, idOf(1))).toBe(true)
    const aside = await oldestAside()
    expect(await readdir(join(dataDir, aside, 'db'))).toContain(idOf(1))
    expect(await formerOf(dataDir)).toMatchObject({ replicas: [idOf(1)], addresses: ['n1:7701'] })
    expect(logged).toEqual([
      ['begins-anew', expect.objectContaining({ reason: code, former: idOf(1), aside: join(dataDir, aside) })],
    ])
  })

  it('does not for what an empty directory would not cure', async () => {
    expect(await ends('name_taken', idOf(1))).toBe(false)
    expect(await ends('wrong_name', idOf(1))).toBe(false)
    expect(await beginAnew(new Error('a bug'), { identity: undefined, peers: [] }, context())).toBe(false)
    expect(await readdir(dataDir)).toEqual(['db'])
  })

  it('comes to rest when what it set aside is not looked at', async () => {
    for (const number of [1, 2, 3]) expect(await ends('evicted', idOf(number))).toBe(true)
    await expect(ends('evicted', idOf(4))).rejects.toMatchObject({
      code: 'evicted',
      message: expect.stringMatching(/It ended\..*aside-1970.*remove them/),
    })
    expect(await readdir(join(dataDir, 'db'))).toContain(idOf(4))
    const oldest = await oldestAside()
    await rm(join(dataDir, oldest), { recursive: true })
    expect(await ends('evicted', idOf(4))).toBe(true)
  })

  it('keeps nothing of unfinished joins but their ids, and gives up after some', async () => {
    await ends('evicted', idOf(1))
    for (let number = 2; number <= FORMER_IDS_MAX; number++)
      expect(await ends('sponsor_lost', idOf(number), 'joining')).toBe(true)
    const ids = Array.from({ length: FORMER_IDS_MAX }, (_, index) => idOf(index + 1))
    expect((await formerOf(dataDir))?.replicas).toEqual(ids)
    expect((await readdir(dataDir)).filter((name) => name.startsWith('aside-'))).toHaveLength(1)
    await expect(ends('sponsor_lost', idOf(99), 'joining')).rejects.toThrow('in a row')
  })
})

it('a rebuild claims nobody else’s place, and forgets nothing that was given up before', async () => {
  await ends('evicted', idOf(1))
  await writeFile(join(dataDir, 'identity.json'), 'torn')
  await rebuild(context())
  expect((await formerOf(dataDir))?.replicas).toEqual([idOf(1)])
  expect((await readdir(dataDir)).filter((name) => name.startsWith('aside-'))).toHaveLength(2)
  await rebuild(context())
  expect((await readdir(dataDir)).filter((name) => name.startsWith('aside-'))).toHaveLength(2)
})

it('asks for a sponsor by one id, also after a crash, and by another one after each end', async () => {
  let drawn = 0
  const random = { next: () => 0, hex: () => idOf(100 + drawn++) }
  const first = await joinerIn(dataDir, random)
  expect(await joinerIn(dataDir, random)).toBe(first)
  await ends('sponsor_lost', first, 'joining')
  const second = await joinerIn(dataDir, random)
  expect(second).not.toBe(first)
  expect(await formerOf(dataDir)).toMatchObject({ replicas: [first], joiner: second, addresses: ['n1:7701'] })
})

it('looks for a sponsor among the seeds first, and then where members were', () => {
  const former = { replicas: [], addresses: ['b:1', 'a:1'], joiner: '' }
  expect(addressesToAsk(['a:1'], former)).toEqual(['a:1', 'b:1'])
  expect(addressesToAsk(['a:1'], undefined)).toEqual(['a:1'])
})
