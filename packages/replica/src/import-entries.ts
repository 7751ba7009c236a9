import { isBeyondDrift, type Entry, type ImportAdmission } from '@grapevine/core'
import { errorOf } from './arrival.ts'
import type { Committer } from './committer.ts'
import { refusedWrite, type WriteRefusal } from './write.ts'

/** What became of an entry of a snapshot; one `beyond-drift` was not looked at any closer. */
export type ImportFate = ImportAdmission | 'beyond-drift'

export interface ImportContext {
  readonly committer: Committer
  /**
   * Why nothing is taken in now, as for writes. Among them: this node is no bootstrapped member, and would take in what it
   * should have been told is deleted.
   */
  readonly refusal: () => WriteRefusal | undefined
  readonly wallMs: () => number
  readonly driftMs: number
  /** Told of a key whose row here cannot be read, so that what the snapshot has of it could not be judged. */
  readonly onUnreadable: (entry: Entry) => void
}

/**
 * Takes entries of a snapshot into the cluster (frontier.md R17): durable here when it resolves, and brought to the others by their
 * pulls. What is beyond the permitted drift is not parked, as what other members send would be: whoever restores has it still.
 * @returns one fate for each entry.
 * @throws {WriteError} before anything was done.
 * @throws {StoreError} when it is not known what became of the entries.
 */
export async function importEntries(entries: readonly Entry[], context: ImportContext): Promise<readonly ImportFate[]> {
  const { committer, refusal, wallMs, driftMs, onUnreadable } = context
  const refused = refusal()
  if (refused !== undefined) throw refusedWrite(refused)
  const now = wallMs()
  const inTime = entries.filter((entry) => !isBeyondDrift(entry, now, driftMs))
  const admissions = await submit(inTime, committer)
  for (const [index, entry] of inTime.entries()) if (admissions[index] === 'failed') onUnreadable(entry)
  if (inTime.length === entries.length) return admissions
  const fates = new Map(inTime.map((entry, index) => [entry, admissions[index]]))
  return entries.map((entry) => fates.get(entry) ?? 'beyond-drift')
}

function submit(entries: readonly Entry[], committer: Committer): Promise<readonly ImportAdmission[]> {
  if (entries.length === 0) return Promise.resolve([])
  return new Promise((settle, reject) => {
    committer.submit({ kind: 'import', entries, settle, fail: (failure) => reject(errorOf(failure)) })
  })
}
