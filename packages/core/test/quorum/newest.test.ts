import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareEntries, compareHlc, compareVersions, HLC_ZERO, merge, Newest, type Entry } from '../../src/index.ts'
import { anyEntry, anyHlc } from '../record/any-entry.ts'

const anyEntries = fc.array(anyEntry, { maxLength: 6 })

/** As members answer: only with what is newer than what they were asked about. */
function tellAll(newest: Newest, own: Entry | undefined, entries: readonly Entry[]): void {
  for (const [index, entry] of entries.entries())
    newest.tell(`r${index}`, entry.version, own === undefined || compareEntries(entry, own) > 0 ? entry : undefined)
}

describe('the newest of what members hold', () => {
  it('is what merging all of it gives, in whatever order they answer', () => {
    const law = fc.property(anyEntry, anyEntries, (own, entries) => {
      const newest = new Newest(own, HLC_ZERO)
      tellAll(newest, own, entries)
      expect(newest.entry).toBe(entries.reduce((a, b) => merge(a, b), own))
      expect(newest.from === undefined).toBe(newest.entry === own)
    })
    fc.assert(law)
  })

  it('is nothing at or below the frontier where nothing is here: it was deleted', () => {
    const law = fc.property(anyEntries, anyHlc, (entries, frontier) => {
      const newest = new Newest(undefined, frontier)
      tellAll(newest, undefined, entries)
      const later = entries.filter(({ version }) => compareHlc(version.hlc, frontier) > 0)
      if (later.length === 0) expect(newest.entry).toBeUndefined()
      else expect(newest.entry).toBe(later.reduce((a, b) => merge(a, b)))
    })
    fc.assert(law)
  })

  it('names those who hold less', () => {
    const law = fc.property(anyEntry, anyEntries, (own, entries) => {
      const newest = new Newest(own, HLC_ZERO)
      tellAll(newest, own, entries)
      newest.tell('empty', undefined, undefined)
      const best = newest.entry ?? own
      const behind = entries.flatMap(({ version }, index) =>
        compareVersions(version, best.version) < 0 ? [`r${index}`] : [],
      )
      expect(newest.behind).toEqual([...behind, 'empty'])
    })
    fc.assert(law)
  })
})
