import { print } from './results.ts'

export interface Contestant<Sample> {
  readonly name: string
  readonly measure: () => Promise<Sample>
  /** What is printed of a sample, while one waits. */
  readonly show: (sample: Sample) => string
}

/**
 * Measures in turns, A B, B A, A B …: whatever else the machine is doing meets all alike, and the order favours none.
 * Ratios are then taken within each round. A first turn of each is not counted: compilers and caches are cold in it.
 */
export async function takeTurns<Sample>(
  rounds: number,
  contestants: readonly Contestant<Sample>[],
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]))
  for (const { measure } of contestants) await measure()
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure, show } of round % 2 === 0 ? contestants : contestants.toReversed()) {
      const sample = await measure()
      samples.get(name)?.push(sample)
      print(`  ${round + 1}/${rounds} ${name}: ${show(sample)}\n`)
    }
  }
  return samples
}

/** One ratio a round. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.map((value, round) => value / (denominators[round] ?? NaN))
}
