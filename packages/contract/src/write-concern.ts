/** How many members must hold a write before it is answered, counted among all members, dead or alive. */
export type WriteConcern = number | 'quorum' | 'all'

/** The query parameter `w`. */
export function parseWriteConcern(text: string): WriteConcern | undefined {
  if (text === 'quorum' || text === 'all') return text
  return /^[1-9]\d{0,3}$/.test(text) ? Number(text) : undefined
}
