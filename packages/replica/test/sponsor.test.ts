import {
  HLC_ZERO,
  type Identity,
  type KnownPeer,
  type MemberState,
  type MemberUpdate,
  type Roster,
} from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import type { FailureDetector } from '../src/membership/failure-detector.ts'
import type { ReplicaState } from '../src/replica-state.ts'
import { sponsor } from '../src/sponsor.ts'

const SELF = 'aaaaaaaaaaaaaaaa'
const OLD = 'bbbbbbbbbbbbbbbb'
const OLDER = 'cccccccccccccccc'
const NEW = 'dddddddddddddddd'

const identity: Identity = {
  cluster: 'e'.repeat(32),
  replica: SELF,
  name: 'n1',
  stage: 'member',
  sponsor: '',
  incarnation: 1,
}

function memberCalled(name: string, replica: string, state: MemberState): MemberUpdate {
  return { replica, name, address: `${name}:7701`, clientUrl: '', zone: '', version: '0', state, incarnation: 1 }
}

/** What the roster is after somebody called n2 asked, where these are known on disk and by the failure detector. */
async function rosterAfterJoin(
  known: { onDisk: readonly KnownPeer[]; heardOf: readonly MemberUpdate[] },
  rebuild: boolean,
  former: readonly string[] = [],
  livesThere?: string,
): Promise<Roster> {
  let roster: Roster = { known: [SELF, OLD, OLDER], evicted: [] }
  const state = () =>
    ({ identity, roster, peers: known.onDisk, clock: { now: { wallMs: 1, counter: 0 } } }) as unknown as ReplicaState
  const detector = {
    updates: () => known.heardOf,
    member: (replica: string) => known.heardOf.find((member) => member.replica === replica),
    rosterChanged: () => {},
    learn: () => {},
  } as unknown as FailureDetector
  await sponsor(
    { joiner: memberCalled('n2', NEW, 'alive'), ticket: NEW, rebuild, former },
    {
      state,
      detector,
      mayIntroduce: () => true,
      publishToAll: () => {},
      hello: () =>
        Promise.resolve(
          livesThere === undefined
            ? undefined
            : { cluster: '', replica: livesThere, name: 'n2', member: false, ticket: NEW },
        ),
      changeMembership: (change) => {
        roster =
          change({ identity, roster, peers: known.onDisk, frontier: HLC_ZERO, folded: new Set() }).roster ?? roster
        return Promise.resolve()
      },
    },
  )
  return roster
}

describe("a joiner that bears a member's name", () => {
  const onDisk = [memberCalled('n2', OLDER, 'dead')]
  const heardOf = [memberCalled('n2', OLD, 'dead')]

  it('takes the place of all who bore it, whether known on disk or only heard of', async () => {
    const { known, evicted } = await rosterAfterJoin({ onDisk, heardOf }, true)
    expect([...evicted].toSorted()).toEqual([OLD, OLDER])
    expect(known).toContain(NEW)
  })

  it('is refused without --rebuild, and while one of them lives', async () => {
    await expect(rosterAfterJoin({ onDisk: [], heardOf }, false)).rejects.toMatchObject({ code: 'name-taken' })
    const alive = [...heardOf, memberCalled('n2', OLDER, 'suspect')]
    await expect(rosterAfterJoin({ onDisk, heardOf: alive }, true)).rejects.toMatchObject({ code: 'name-taken' })
  })

  it('may ask again when the answer to its first question was lost', async () => {
    const { evicted } = await rosterAfterJoin({ onDisk: [memberCalled('n2', NEW, 'alive')], heardOf: [] }, false)
    expect(evicted).toEqual([])
  })
})

describe('a joiner that was a member before', () => {
  const was = (state: MemberState) => ({ onDisk: [], heardOf: [memberCalled('n2', OLD, state)] })

  it('is let in without --rebuild, and its former id is evicted, whatever name that bears', async () => {
    expect((await rosterAfterJoin(was('left'), false, [OLD])).evicted).toEqual([OLD])
    expect((await rosterAfterJoin({ onDisk: [], heardOf: [] }, false, [OLD])).evicted).toEqual([OLD])
    // Its next attempt, when the sponsor of the first was lost, names both.
    expect((await rosterAfterJoin(was('dead'), false, [OLD, OLDER])).evicted.toSorted()).toEqual([OLD, OLDER])
  })

  it('waits while that id lives in another process, wherever it was seen last', async () => {
    await expect(rosterAfterJoin(was('alive'), false, [OLD])).rejects.toMatchObject({ code: 'busy' })
    await expect(rosterAfterJoin(was('left'), true, [OLD], OLD)).rejects.toMatchObject({ code: 'busy' })
    const onDisk = [memberCalled('n2', OLD, 'alive')]
    await expect(rosterAfterJoin({ onDisk, heardOf: [] }, false, [OLD], OLD)).rejects.toMatchObject({ code: 'busy' })
    await expect(rosterAfterJoin(was('dead'), false, [SELF])).rejects.toMatchObject({ code: 'busy' })
  })

  it('need not wait for the failure detector once it is itself at the address of that id', async () => {
    expect((await rosterAfterJoin(was('alive'), false, [OLD], '')).evicted).toEqual([OLD])
    expect((await rosterAfterJoin(was('suspect'), false, [OLD], NEW)).evicted).toEqual([OLD])
  })

  it('is refused when another one has taken its name meanwhile', async () => {
    const heardOf = [memberCalled('n2', OLDER, 'dead')]
    await expect(rosterAfterJoin({ onDisk: [], heardOf }, false, [OLD])).rejects.toMatchObject({ code: 'name-taken' })
  })
})
