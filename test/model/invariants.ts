import {
  compareEntries,
  compareHlc,
  isPurgeable,
  purgeableAt,
  vectorText,
  type Entry,
} from '../../packages/core/src/index.ts'
import * as does from './replica-steps.ts'
import type { Dropped } from './rules.ts'
import { committed, covers, isHeard, mayPull, senderOf, type Scope } from './store-world.ts'
import { entryText, type Replica, type World } from './world.ts'

/** I1, I5 and I7, which hold in every state. */
export function faultNow(world: World, scope: Scope): string | undefined {
  // Who has lost a row, and knows, is wrong until it is mended.
  const members = insiders(world).filter(({ suspect }) => !suspect)
  for (const replica of members) {
    const fault = resurrection(world, replica, members)
    if (fault !== undefined) return fault
  }
  // A row that was lost breaks both, and by right: they are what finds it.
  if ((scope.losses ?? 0) > 0) return undefined
  for (const replica of members) {
    const uncovered = world.written.find((entry) => covers(replica, entry) && !isHeldOrBeaten(world, replica, entry))
    if (uncovered !== undefined)
      return `I1: ${replica.id} covers ${entryText(uncovered)} and holds neither it nor newer`
    for (const other of members)
      if (isAsFar(replica, other) && rowsText(replica) !== rowsText(other))
        return `I7: ${replica.id} and ${other.id} have equal vectors and frontiers, and unequal rows`
  }
  return undefined
}

/**
 * Everybody talks with everybody until nothing changes, and then all that was ever sent arrives once more (I5, I6, I8).
 * It is looked at where no write is left to be made: earlier states lead there.
 */
export function faultAtRest(world: World, scope: Scope, dropped: Dropped): string | undefined {
  const quiet = atRest(world, scope, dropped)
  for (const replica of insiders(quiet)) {
    const stale = [...replica.rows.values()].find((entry) => purgeableAt(entry) !== undefined)
    if (stale !== undefined) return `I8: ${replica.id} still holds ${entryText(stale)}`
  }
  const rested = replayed(quiet, scope, dropped)
  const members = insiders(rested)
  for (const replica of members) {
    const returned = [...replica.rows.values()].find((entry) =>
      rested.written.some(
        (newer) =>
          newer.value === undefined &&
          newer.address === entry.address &&
          compareEntries(newer, entry) > 0 &&
          wasSeen(world, newer),
      ),
    )
    if (returned !== undefined) return `I5: ${replica.id} holds ${entryText(returned)}, which was deleted`
    if (replica.suspect) return `R19: ${replica.id} has not been mended`
    if ((scope.losses ?? 0) > 0 && scope.noticed !== true) continue
    const [first] = members
    if (first !== undefined && rowsText(first) !== rowsText(replica))
      return `I6: ${first.id} and ${replica.id} end with unequal rows`
  }
  if ((scope.evictions ?? 0) > 0) return undefined
  const lost = rested.written.find((entry) => members.some((replica) => !isHeldOrBeaten(rested, replica, entry)))
  return lost === undefined ? undefined : `I6: ${entryText(lost)} was acknowledged and is gone`
}

/** Writes of the evicted that nobody else has seen are lost with them. */
function wasSeen(world: World, entry: Entry): boolean {
  return insiders(world).some((replica) => covers(replica, entry))
}

/**
 * Members that nobody has evicted, and of whom the founders that are left know, or those of whom they know. Who was
 * introduced by an evicted replica alone is a stranger to them for ever, and has to return as another (R14).
 */
function insiders({ replicas }: World): readonly Replica[] {
  const inside = new Set(replicas.filter(({ sponsor }) => sponsor === ''))
  const isLeft = ({ id, stage }: Replica): boolean =>
    stage === 'member' && !replicas.some(({ roster }) => roster.evicted.includes(id))
  // A set goes on with what is added on the way.
  for (const member of inside)
    if (isLeft(member)) for (const other of replicas) if (member.roster.known.includes(other.id)) inside.add(other)
  return [...inside].filter(isLeft)
}

function resurrection(world: World, dropper: Replica, members: readonly Replica[]): string | undefined {
  const gone = world.written.filter((entry) => isPurgeable(entry, dropper.frontier) && wasSeen(world, entry))
  for (const newer of gone)
    for (const replica of members) {
      const held = replica.rows.get(newer.address)
      if (held !== undefined && compareEntries(newer, held) > 0)
        return `I5: ${dropper.id} has dropped ${entryText(newer)}, and ${replica.id} holds ${entryText(held)}`
    }
  return undefined
}

function isHeldOrBeaten(world: World, replica: Replica, entry: Entry): boolean {
  const held = replica.rows.get(entry.address)
  if (held !== undefined && compareEntries(held, entry) >= 0) return true
  return world.written.some(
    (newer) =>
      newer.address === entry.address &&
      compareEntries(newer, entry) >= 0 &&
      isPurgeable(newer, replica.frontier) &&
      wasSeen(world, newer),
  )
}

function isAsFar(a: Replica, b: Replica): boolean {
  return (
    a.id < b.id &&
    compareHlc(a.frontier, b.frontier) === 0 &&
    a.folded.join() === b.folded.join() &&
    vectorText(a.vector) === vectorText(b.vector)
  )
}

function rowsText({ rows }: Replica): string {
  return [...rows.values()].map(entryText).toSorted().join()
}

function atRest(world: World, scope: Scope, dropped: Dropped): World {
  let now: World = { ...world, answers: [] }
  for (const replica of now.replicas) if (replica.inFlight !== undefined) now = committed(now, replica)
  const lastMs = Math.max(...scope.wallsMs, ...scope.writes.map(({ expiresAtMs = 0 }) => expiresAtMs))
  const replicas = new Map(
    now.replicas.map((replica) => [
      replica.id,
      does.swept({ ...replica, wallMs: Math.max(replica.wallMs, lastMs) }, dropped),
    ]),
  )
  const ids = [...replicas.keys()]
  const at = (id: string): Replica => replicas.get(id) ?? now.replicas[0]!
  const put = (replica: Replica): Map<string, Replica> => replicas.set(replica.id, replica)
  for (const [sponsor, joiner] of now.unstored) put(does.introduced(at(sponsor), joiner))
  // As many rounds as news needs to go around, and then two for the frontier; and again after a loss was mended.
  for (let round = 0; round < (scope.noticed === true ? 8 : 4); round++) {
    if (round === 4)
      for (const to of ids)
        for (const from of ids) if (does.mayMend(at(to), at(from), dropped)) put(does.mended(at(to), at(from), dropped))

    // Whose sponsor is evicted before the answer begins again as another, and evicts the id it had (R13).
    for (const { id, stage, sponsor } of replicas.values())
      if (stage === 'joining' && ids.some((other) => at(other).roster.evicted.includes(sponsor)))
        for (const other of ids) put(does.evicting(at(other), id))
    for (const to of ids)
      for (const from of ids) {
        // Single entries are given by whoever has lost others.
        if (at(from).suspect && isHeard(at(to), at(from).id, dropped))
          for (const entry of at(from).rows.values()) put(does.takeIn(at(to), entry, dropped))
        if (mayPull(at(to), at(from), dropped)) put(does.adopt(at(to), does.completeAnswer(at(from), at(to)), dropped))
        if (at(from).stage !== 'member' || at(to).stage !== 'member' || !isHeard(at(to), at(from).id, dropped)) continue
        put(does.promiseTime(at(from)))
        put(does.hear(at(to), does.publicationOf(at(from), dropped), at(from).frontier, dropped))
      }
    for (const id of ids) if (at(id).stage === 'member') put(does.frontierStep(does.promiseTime(at(id)), dropped))
  }
  return { ...now, replicas: [...replicas.values()] }
}

/** Also out of snapshots, where there are any: by now all cover all that is in them. */
function replayed(world: World, scope: Scope, dropped: Dropped): World {
  const replicas = world.replicas.map((replica) => {
    if (replica.stage !== 'member') return replica
    const resent = world.written
      .filter((entry) => senderOf(world, replica, entry, dropped) !== undefined)
      .reduce((now, entry) => does.takeIn(now, entry, dropped), replica)
    if (scope.imports !== true) return resent
    return world.written.reduce((now, entry) => does.importing(now, entry, dropped), resent)
  })
  return { ...world, replicas }
}
