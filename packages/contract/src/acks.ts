/** Members that hold a write durably, the answering node included, of all members, dead or alive. */
export interface Acks {
  readonly count: number
  readonly of: number
}

/** The value of the header `Grapevine-Acks`: `2/3`. */
export function formatAcks({ count, of }: Acks): string {
  return `${count}/${of}`
}

export function parseAcks(text: string): Acks | undefined {
  const found = /^(\d{1,4})\/(\d{1,4})$/.exec(text)
  return found === null ? undefined : { count: Number(found[1]), of: Number(found[2]) }
}
