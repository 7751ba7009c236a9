import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { EntryDigest } from '../conversations.ts'
import type { Digest, Entry } from '../record/entry.ts'
import { compareEntries, type Comparable } from '../version/merge.ts'
import { compareVersions, type Dot, type Version } from '../version/version.ts'

/** What a clean member holds of a leaf, and what it had seen then. Its vector contains that of whoever asked. */
export interface CleanLeaf {
  readonly listed: readonly EntryDigest[]
  readonly covers: (dot: Dot) => boolean
}

export interface LeafChanges {
  readonly put: readonly Entry[]
  readonly drop: readonly Entry[]
}

/**
 * Makes of a leaf that has lost rows the leaf of a clean member (frontier.md R19). It is replaced, not merged: what the clean
 * one covers and does not list was deleted there, and the delete is what may be lost here. What it does not cover came here
 * after it was asked, and stays. Of two entries of one key the newer one wins, as always (R4).
 *
 * @param held what can be read here.
 * @param sent the listed entries that were lacking here.
 */
export function replaceLeaf(held: readonly Entry[], clean: CleanLeaf, sent: readonly Entry[]): LeafChanges {
  const listed = new Set(clean.listed.map(({ keyHash }) => keyHash))
  return {
    put: newerOf(held, sent),
    drop: held.filter(({ keyHash, dot }) => !listed.has(keyHash) && clean.covers(dot)),
  }
}

/** Two sound leaves that differ, though vectors, frontiers and evictions are equal. */
export interface SoundLeaves {
  readonly held: readonly Entry[]
  readonly listed: readonly EntryDigest[]
  /** Their entries that are lacking here, or newer than here. */
  readonly sent: readonly Entry[]
  readonly frontier: Hlc
  /** What either side has purged of a key that it does not hold, as long as it remembers. */
  readonly purgedHere: ReadonlyMap<Digest, Version>
  readonly purgedThere: ReadonlyMap<Digest, Version>
}

export interface Settlement extends LeafChanges {
  /** Held by one side alone, and nobody can tell whether it was deleted: the operator chooses. */
  readonly undecided: readonly UndecidedRow[]
}

export interface UndecidedRow {
  readonly entry: Entry
  readonly isHeldHere: boolean
}

/**
 * Rule R20 of frontier.md, as far as this side is concerned: each side changes only itself. A row above the frontier is taken
 * by whoever lacks it, since nothing newer can have been dropped. One at or below it may have been deleted: unless a
 * side remembers that it has purged something newer, both keep what they have.
 */
export function settleLeaf({ held, listed, sent, frontier, purgedHere, purgedThere }: SoundLeaves): Settlement {
  const ours = new Set(held.map(({ keyHash }) => keyHash))
  const theirs = new Set(listed.map(({ keyHash }) => keyHash))
  const isOld = ({ version }: { version: Version }): boolean => compareHlc(version.hlc, frontier) <= 0
  const only = {
    here: held.filter((entry) => !theirs.has(entry.keyHash) && isOld(entry)),
    there: sent.filter((entry) => !ours.has(entry.keyHash) && isOld(entry)),
  }
  return {
    put: newerOf(held, sent).filter((entry) => !only.there.includes(entry)),
    drop: only.here.filter((entry) => isPurgedBy(purgedThere, entry)),
    undecided: [
      ...only.here.filter((entry) => !isPurgedBy(purgedThere, entry)).map((entry) => ({ entry, isHeldHere: true })),
      // They drop it when they hear of our purge.
      ...only.there.filter((entry) => !isPurgedBy(purgedHere, entry)).map((entry) => ({ entry, isHeldHere: false })),
    ],
  }
}

/** The entries that are lacking among those held, or beat them. */
export function newerOf<Theirs extends Comparable & { readonly keyHash: Digest }>(
  held: readonly (Comparable & { readonly keyHash: Digest })[],
  theirs: readonly Theirs[],
): Theirs[] {
  const ours = new Map(held.map((entry) => [entry.keyHash, entry]))
  return theirs.filter((entry) => {
    const our = ours.get(entry.keyHash)
    return our === undefined || compareEntries(entry, our) > 0
  })
}

function isPurgedBy(purged: ReadonlyMap<Digest, Version>, { keyHash, version }: Entry): boolean {
  const newer = purged.get(keyHash)
  return newer !== undefined && compareVersions(newer, version) > 0
}
