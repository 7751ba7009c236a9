import type { CheckerKind } from './checker-kind.ts'

/** A clock that was set back after an entry had passed the door, and before it was on disk, is nobody's fault. */
const SETTLED_MS = 30_000
/** How far a clock may wander from true time between two entries without having been set. */
const WANDERING_MS = 500

export const boundedDrift: CheckerKind = {
  name: 'bounded-drift',
  guards: 'P9, R3, F6',
  asserts:
    'No node stores an entry of another replica that is stamped further ahead of its own wall clock than the permitted drift, unless its clock was set within the half minute before.',
  watch(complain, { driftMs }) {
    const clocks = new Map<string, { aheadMs: number; setAtMs: number }>()
    return {
      stored({ atMs, node, replica, key, version, wallMs }) {
        if (wallMs === undefined) return
        const aheadMs = wallMs - atMs
        const clock = clocks.get(node) ?? { aheadMs, setAtMs: Number.NEGATIVE_INFINITY }
        if (Math.abs(aheadMs - clock.aheadMs) > WANDERING_MS) clock.setAtMs = atMs
        clock.aheadMs = aheadMs
        clocks.set(node, clock)
        const excessMs = Number.parseInt(version.slice(0, 12), 16) - wallMs - driftMs
        if (version.endsWith(replica) || excessMs <= 0 || atMs - clock.setAtMs < SETTLED_MS) return
        const message = `${node} stores ${version}, which is ${excessMs + driftMs} ms ahead of its clock; ${driftMs} are permitted`
        complain({ atMs, node, key, message })
      },
    }
  },
}
