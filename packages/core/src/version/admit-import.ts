import { compareHlc, type Hlc } from '../clock/hlc.ts'
import { admit, type Admission, type AdmissionContext } from './admit.ts'
import type { Entry } from '../record/entry.ts'

/**
 * What becomes of an entry of a snapshot that is taken into a running cluster, beside what becomes of every other:
 * `quarantined` is one that this replica has not seen, from a time of which it has promised that nothing more comes: whether it was
 * deleted since nobody here can tell. `outdated` is the same for a key that holds something newer: there is nothing to bring back.
 */
export type ImportAdmission = Admission | 'quarantined' | 'outdated'

export interface ImportContext extends Omit<AdmissionContext, 'bootstrapping' | 'healing'> {
  /**
   * H, the later of what this replica has published and of what the batch before this one lets it publish: an import is no
   * exception from the promise that nothing older enters through this replica.
   */
  readonly promise: Hlc
}

/**
 * Rule R17 of frontier.md, per entry, at a bootstrapped member: what is covered, and what is above the promise, is judged as
 * every other entry (R4, R5). The rest is neither stored nor covered, and does not move the clock. It is the promise that
 * counts and not this replica's frontier: another member's may be ahead of it, and would refuse what is taken in here.
 */
export function admitImport(entry: Entry, { promise, ...context }: ImportContext): ImportAdmission {
  const admission = admit(entry, { ...context, bootstrapping: false, healing: false })
  if (context.covered || compareHlc(entry.version.hlc, promise) > 0) return admission
  if (admission === 'failed') return admission
  return admission === 'superseded' || admission === 'known' ? 'outdated' : 'quarantined'
}

/** Whether an entry so judged leaves no trace: its dot is not covered, and the clock does not rise to it. */
export function leavesNoTrace(admission: ImportAdmission): boolean {
  return admission === 'refused' || admission === 'failed' || admission === 'quarantined' || admission === 'outdated'
}
