import { RefusalError, UnreachableError, type ReplicaId, type Roster } from '@grapevine/core'
import { expect, it } from 'vitest'
import type { AskMember } from '../src/ask-member.ts'
import { awaitIntroduction, bootstrap, type Introduction, type JoinContext } from '../src/join.ts'
import type { PullContext } from '../src/pull-round.ts'
import { VirtualTime } from './virtual-time.ts'

const SELF = 'aaaaaaaaaaaaaaaa'
const KNOWS = 'bbbbbbbbbbbbbbbb'
const SILENT = 'cccccccccccccccc'

function rosterOf(...known: ReplicaId[]): Roster {
  return { known, evicted: [] }
}

/** Lets a joiner wait for its introduction beside one member that knows it and one that never answers. */
async function isIntroduced(silent: ReturnType<Introduction['others']>[number]['standing']): Promise<boolean> {
  const time = new VirtualTime()
  const introduction: Introduction = {
    exchange: (replica) =>
      replica === KNOWS
        ? Promise.resolve(rosterOf(SELF, KNOWS, SILENT))
        : Promise.reject(new UnreachableError('refused', 'nobody there')),
    self: SELF,
    sponsor: KNOWS,
    others: () => [
      { replica: KNOWS, standing: 'here' },
      { replica: SILENT, standing: silent },
    ],
  }
  const context = { clock: time, timers: time, log: { info: () => {} }, isStopping: () => false, peerTimeoutMs: 1_000 }
  let done = false
  void awaitIntroduction(introduction, context as unknown as JoinContext).then(() => {
    done = true
  })
  await time.advance(60_000)
  return done
}

it('waits for a member that is here, and not for one that is away', async () => {
  expect(await isIntroduced('here')).toBe(false)
  expect(await isIntroduced('away')).toBe(true)
})

it('does not wait for ever for an id that nobody has heard of', async () => {
  expect(await isIntroduced('unheard-of')).toBe(true)
})

// Found by the simulator (seeds 22451 and 40257): whoever is left refuses the joiner for ever, since nobody knows it.
it.each([
  ['before it had told it that it knows it', false],
  ['afterwards, and has forgotten it', true],
])('begins anew when its sponsor was lost before it told anybody, %s', async (_, hadAnswered) => {
  const time = new VirtualTime()
  let isGone = !hadAnswered
  const introduction: Introduction = {
    exchange: (replica) => {
      if (replica === KNOWS) return Promise.reject(new RefusalError('not-introduced', 'who is that?'))
      if (isGone) return Promise.reject(new UnreachableError('refused', 'gone'))
      return Promise.resolve(rosterOf(SELF, KNOWS, SILENT))
    },
    self: SELF,
    sponsor: SILENT,
    others: () => [
      { replica: KNOWS, standing: 'here' },
      { replica: SILENT, standing: isGone ? 'away' : 'here' },
    ],
  }
  const context = { clock: time, timers: time, log: { info: () => {} }, isStopping: () => false, peerTimeoutMs: 1_000 }
  let ended: unknown
  awaitIntroduction(introduction, context as unknown as JoinContext).catch((error: unknown) => {
    ended = error
  })
  // As long as it is there it may yet tell the others.
  await time.advance(hadAnswered ? 25_000 : 0)
  expect(ended).toBeUndefined()
  isGone = true
  await time.advance(25_000)
  expect(ended).toBeUndefined()
  await time.advance(10_000)
  expect(ended).toMatchObject({ code: 'sponsor_lost' })
})

// Two joiners know each other, and nobody else knows either; or whoever let it in was cut off, and held all others for dead.
it.each([
  ['asks those too that are said to be away (seed 202784)', KNOWS, 'away'],
  ['begins anew when whoever knows it does not get to tell the others (seed 121091)', 'dddddddddddddddd', 'here'],
] as const)('%s', async (_, sponsor, standing) => {
  const time = new VirtualTime()
  const introduction: Introduction = {
    exchange: (replica) =>
      replica === KNOWS
        ? Promise.resolve(rosterOf(SELF, KNOWS, SILENT))
        : Promise.reject(new RefusalError('not-introduced', 'who is that?')),
    self: SELF,
    sponsor,
    others: () => [
      { replica: KNOWS, standing: 'here' },
      { replica: SILENT, standing },
    ],
  }
  const context = { clock: time, timers: time, log: { info: () => {} }, isStopping: () => false }
  let ended: unknown
  awaitIntroduction(introduction, context as unknown as JoinContext).then(
    () => (ended = 'introduced'),
    (error: unknown) => (ended = error),
  )
  await time.advance(55_000)
  expect(ended).toBeUndefined()
  await time.advance(10_000)
  expect(ended).toMatchObject({ code: 'sponsor_lost' })
})

// Found by the simulator (seed 101213): the sponsor's disk was rolled back, and it went on with a cluster of its own.
it('tells a sponsor that has forgotten its joiner, and begins anew', async () => {
  const time = new VirtualTime()
  const asked: string[] = []
  const ask = ((replica: ReplicaId, name: string) => {
    asked.push(`${name} ${replica}`)
    return Promise.reject(new RefusalError(name === 'forgotten' ? 'failed' : 'not-introduced', 'who is that?'))
  }) as unknown as AskMember
  const vector = { rows: () => [] }
  const pull = { ask, state: () => ({ vector: () => vector, foldedRows: () => [] }) } as unknown as PullContext
  const context = {
    clock: time,
    timers: time,
    log: { info: () => {} },
    isStopping: () => false,
  } as unknown as JoinContext
  await expect(bootstrap(KNOWS, pull, context)).rejects.toMatchObject({ code: 'sponsor_lost' })
  expect(asked).toEqual([`missed-entries ${KNOWS}`, `forgotten ${KNOWS}`])
})
