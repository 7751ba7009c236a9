import { describe, expect, it } from 'vitest'
import { etagOf, isMet, type Entry, type Precondition } from '../../src/index.ts'
import { entryWith } from '../record/any-entry.ts'

const NOW_MS = 5_000
const value = entryWith()
const states: Readonly<Record<string, Entry | undefined>> = {
  'nothing held': undefined,
  'a value': value,
  'an empty value': entryWith({ value: new Uint8Array(0) }),
  'a value that expires later': entryWith({ expiresAtMs: NOW_MS + 1 }),
  'a value that expires now': entryWith({ expiresAtMs: NOW_MS }),
  'a tombstone': entryWith({ value: undefined }),
}
const VISIBLE = new Set(['a value', 'an empty value', 'a value that expires later'])

describe.each(Object.entries(states))('with %s', (state, held) => {
  const isVisible = VISIBLE.has(state)

  it('tells present from absent', () => {
    expect(isMet({ kind: 'present' }, held, NOW_MS)).toBe(isVisible)
    expect(isMet({ kind: 'absent' }, held, NOW_MS)).toBe(!isVisible)
  })

  it('finds the version only while a reader would', () => {
    const etag = etagOf((held ?? value).version)
    const ours: Precondition = { kind: 'one-of', etags: ['no such tag', etag] }
    expect(isMet(ours, held, NOW_MS)).toBe(isVisible)
    expect(isMet({ kind: 'one-of', etags: ['no such tag'] }, held, NOW_MS)).toBe(false)
    expect(isMet({ kind: 'one-of', etags: [] }, held, NOW_MS)).toBe(false)
  })
})
