import type { Entry, Version } from '@grapevine/core'
import { expect, it } from 'vitest'
import { RecentCommits } from '../src/recent-commits.ts'

const version = (wallMs: number): Version => ({ hlc: { wallMs, counter: 0 }, replica: 'a'.repeat(16) })
const entry = (keyHash: string, wallMs: number): Entry => ({ keyHash, version: version(wallMs) }) as Entry

it('tells since when a version or a newer one was held, for the latest commits', () => {
  const commits = new RecentCommits(1_000)
  expect(commits.sinceMs).toBe(1_000)
  commits.note([entry('k', 5), undefined, entry('l', 6)], 1_010)
  commits.note([entry('k', 7)], 1_020)
  commits.note([undefined], 1_030)
  expect(commits.heldSinceMs('k', version(4))).toBe(1_010)
  expect(commits.heldSinceMs('k', version(5))).toBe(1_010)
  expect(commits.heldSinceMs('k', version(6))).toBe(1_020)
  expect(commits.heldSinceMs('k', version(8))).toBeUndefined()
  expect(commits.heldSinceMs('m', version(1))).toBeUndefined()
  for (let index = 0; index < 40_000; index++) commits.note([entry(`k${index}`, 9)], 2_000 + index)
  expect(commits.heldSinceMs('k', version(5))).toBeUndefined()
  // What it has forgotten was durable by then.
  expect(commits.sinceMs).toBe(2_000 + 40_000 - 16_384 - 1)
  expect(commits.heldSinceMs('k39999', version(9))).toBe(41_999)
  expect(commits.heldSinceMs(`k${40_000 - 16_384}`, version(9))).toBe(2_000 + 40_000 - 16_384)
})
