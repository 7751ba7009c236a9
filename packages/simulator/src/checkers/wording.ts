import type { ContentsRow, EtagText } from '../history/history.ts'

/** Enough to know what is wrong; the report draws the rest. */
const LISTED_MAX = 5

export function nameOf(state: 'value' | 'tombstone', value: string | undefined, version: EtagText): string {
  return state === 'tombstone' ? `a tombstone (${version})` : `${JSON.stringify(value ?? null)} (${version})`
}

export function rowText(row: ContentsRow | undefined): string {
  return row === undefined ? 'nothing' : nameOf(row.state, row.value, row.version)
}

export function listed(items: readonly string[]): string {
  const some = items.slice(0, LISTED_MAX).join('; ')
  return items.length > LISTED_MAX ? `${some}; and ${items.length - LISTED_MAX} more` : some
}
