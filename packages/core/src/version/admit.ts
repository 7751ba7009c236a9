import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { Held } from '../ports.ts'
import type { Entry } from '../record/entry.ts'
import { compareEntries } from './merge.ts'

/**
 * What becomes of an entry that arrived from elsewhere:
 * `news` is stored; `known` is held already, to the byte; `superseded` loses to what is held; `refused` is old
 * and its key is gone; `failed` cannot be judged, since what is held cannot be read.
 */
export type Admission = 'news' | 'known' | 'superseded' | 'refused' | 'failed'

export interface AdmissionContext {
  readonly held: Held
  /** The greatest hlc that this replica has seen: whatever cannot be read is not later than that. */
  readonly clock: Hlc
  /** Whether the entry's dot is in the vector. */
  readonly covered: boolean
  readonly frontier: Hlc
  /** A joiner takes in all that its sponsor sends: rule R5 is off until it has adopted a complete answer (R13). */
  readonly bootstrapping: boolean
  /**
   * Whether the sender was asked for this very key, and its vector contained ours when it answered. Then by I1 it holds
   * what we held or something newer, so that nothing is lost by taking it for what cannot be read (R19).
   */
  readonly healing: boolean
}

/** Rules R4 and R5 of frontier.md. What is news, known or superseded is covered from then on (R6); a failed one is not, nor is
 * anything claimed that came with it (R7). */
export function admit(entry: Entry, context: AdmissionContext): Admission {
  const { held, clock, covered, frontier, bootstrapping, healing } = context
  if (held === 'corrupt') return healing || compareHlc(entry.version.hlc, clock) > 0 ? 'news' : 'failed'
  if (held !== undefined) {
    const order = compareEntries(entry, held)
    return order > 0 ? 'news' : order === 0 ? 'known' : 'superseded'
  }
  if (bootstrapping) return 'news'
  // Covered and absent: it was deleted, or a row was lost; a loose message cannot tell which. Not covered yet at
  // or below the frontier: no member has it, so it is a replay or a stranger's.
  return covered || compareHlc(entry.version.hlc, frontier) <= 0 ? 'refused' : 'news'
}

/** Whether the entry is stamped further ahead of our wall clock than drift permits: it is parked (R3, P9). */
export function isBeyondDrift(entry: Entry, wallMs: number, driftMs: number): boolean {
  return entry.version.hlc.wallMs > wallMs + driftMs
}
