import type { ContentsRow } from '../history/history.ts'
import { Audit, keysExcused, type Contents } from './audit.ts'
import type { CheckerKind, Complaint } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'
import { listed, rowText } from './wording.ts'

export const agreement: CheckerKind = {
  name: 'agreement',
  guards: 'P3, P18',
  asserts:
    'At the audit all live nodes of a cluster hold the same entries, tombstones included, under the same root and the same vectors. ' +
    'A node may be behind with as many keys as it has parked entries, and rows that a damaged disk hides are excused.',
  watch(complain, { vectorsConverge }) {
    const lives = new NodeLives()
    const audit = new Audit(lives)
    return {
      first(event) {
        lives.see(event)
        audit.see(event)
      },
      finish() {
        for (const contents of audit.clusters.values()) {
          const difference = differenceOf(contents, lives)
          if (difference !== undefined) complain(difference)
          else for (const unlike of unlikeSummaries(contents, lives, vectorsConverge)) complain(unlike)
        }
      },
    }
  },
}

function differenceOf(all: readonly Contents[], lives: NodeLives): Complaint | undefined {
  const newest = new Map<string, { row: ContentsRow; holders: number }>()
  for (const { entries } of all) {
    for (const row of entries) {
      const held = newest.get(row.key)
      const order = held === undefined ? 1 : compareRows(row, held.row)
      if (order > 0) newest.set(row.key, { row, holders: 1 })
      else if (order === 0 && held !== undefined) held.holders++
    }
  }
  const disputed = [...newest].filter(([, { holders }]) => holders < all.length)
  if (disputed.length === 0) return undefined

  const rowsOf = new Map(all.map((contents) => [contents, new Map(contents.entries.map((row) => [row.key, row]))]))
  const behind = new Set<string>()
  for (const [contents, rows] of rowsOf) {
    const lacking = disputed.filter(([key, { row }]) => {
      const here = rows.get(key)
      if (here === undefined && lives.isDamaged(contents.node)) return false
      return here === undefined || compareRows(here, row) !== 0
    })
    if (lacking.length > keysExcused(contents, lives)) for (const [key] of lacking) behind.add(key)
  }
  const keys = [...behind].toSorted()
  const [first] = keys
  const last = all.at(-1)
  if (first === undefined || last === undefined) return undefined
  const views = keys.map(
    (key) =>
      `${key} (${all.map((contents) => `${contents.node}: ${rowText(rowsOf.get(contents)?.get(key))}`).join(', ')})`,
  )
  const nodes = all.map(({ node }) => node).join(', ')
  return { atMs: last.atMs, key: first, message: `${nodes} differ in ${keys.length} key(s): ${listed(views)}` }
}

function* unlikeSummaries(all: readonly Contents[], lives: NodeLives, vectorsConverge: boolean): Iterable<Complaint> {
  const whole = all.filter((contents) => keysExcused(contents, lives) === 0 && !lives.isDamaged(contents.node))
  const [first] = whole
  if (first === undefined) return
  for (const contents of whole.slice(1)) {
    const { atMs, node } = contents
    if (contents.root !== first.root)
      yield {
        atMs,
        node,
        message: `equal entries, but the root of ${node} is ${contents.root} and of ${first.node} ${first.root}`,
      }
    if (vectorsConverge && contents.vectorHash !== first.vectorHash)
      yield {
        atMs,
        node,
        message: `equal entries, but the vectors of ${node} (${contents.vectorHash}) are not those of ${first.node} (${first.vectorHash})`,
      }
  }
}

function compareRows(a: ContentsRow, b: ContentsRow): number {
  if (a.version !== b.version) return a.version < b.version ? -1 : 1
  if (a.hash !== b.hash) return a.hash < b.hash ? -1 : 1
  return a.state === b.state && a.value === b.value ? 0 : a.state < b.state ? -1 : 1
}
