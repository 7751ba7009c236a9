import type { Random } from '../ports.ts'

/** Up to `count` of the items, each subset equally likely, in random order. */
export function sample<Item>(items: readonly Item[], count: number, random: Random): Item[] {
  const rest = [...items]
  const chosen: Item[] = []
  while (chosen.length < count && rest.length > 0) {
    chosen.push(...rest.splice(Math.floor(random.next() * rest.length), 1))
  }
  return chosen
}

export function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  return sample(items, items.length, random)
}
