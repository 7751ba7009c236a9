/**
 * Counters and distributions in the Prometheus text format. They are plain numbers until somebody scrapes: an
 * increment costs some 10 ns, where prom-client hashes its labels at each one for about a microsecond, and the
 * hottest of them is met by every request.
 */
export interface Meter {
  /** Lines with their `# HELP` and `# TYPE`, each ended. */
  expose(): string
}

export type Labels = Readonly<Record<string, string>>

export class Counter implements Meter {
  readonly #name: string
  readonly #help: string
  readonly #label: string | undefined
  readonly #values = new Map<string, number>()

  /** @param label the name of the one label, if there is one; its values given here are shown from the start. */
  constructor(name: string, help: string, label?: string, values: readonly string[] = []) {
    this.#name = name
    this.#help = help
    this.#label = label
    for (const value of label === undefined ? [''] : values) this.#values.set(value, 0)
  }

  add(by = 1, value = ''): void {
    this.#values.set(value, (this.#values.get(value) ?? 0) + by)
  }

  get(value = ''): number {
    return this.#values.get(value) ?? 0
  }

  expose(): string {
    let text = head(this.#name, this.#help, 'counter')
    for (const [value, total] of this.#values)
      text += sample(this.#name, this.#label === undefined ? {} : { [this.#label]: value }, total)
    return text
  }
}

/** One distribution's numbers, without a name: several of them with different labels make a {@link histogramText}. */
export class Buckets {
  readonly bounds: readonly number[]
  readonly counts: Float64Array
  sum = 0

  /** @param bounds upper bounds, ascending, without infinity. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const { bounds, counts } = this
    let index = 0
    while (index < bounds.length && value > (bounds[index] ?? 0)) index++
    counts[index] = (counts[index] ?? 0) + 1
    this.sum += value
  }
}

export class Histogram implements Meter {
  readonly #name: string
  readonly #help: string
  readonly #buckets: Buckets

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name
    this.#help = help
    this.#buckets = new Buckets(bounds)
  }

  observe(value: number): void {
    this.#buckets.observe(value)
  }

  expose(): string {
    return histogramText(this.#name, this.#help, [[{}, this.#buckets]])
  }
}

export function histogramText(name: string, help: string, series: Iterable<readonly [Labels, Buckets]>): string {
  let text = head(name, help, 'histogram')
  for (const [labels, { bounds, counts, sum }] of series) {
    let total = 0
    for (const [index, bound] of bounds.entries()) {
      total += counts[index] ?? 0
      text += sample(`${name}_bucket`, { ...labels, le: String(bound) }, total)
    }
    total += counts[bounds.length] ?? 0
    text += sample(`${name}_bucket`, { ...labels, le: '+Inf' }, total)
    text += sample(`${name}_sum`, labels, sum) + sample(`${name}_count`, labels, total)
  }
  return text
}

/** Values that are true at the moment of the scrape. A metric without any is left out. */
export function gaugeText(name: string, help: string, samples: Iterable<readonly [Labels, number]>): string {
  return withSamples(head(name, help, 'gauge'), name, samples)
}

export function counterText(name: string, help: string, samples: Iterable<readonly [Labels, number]>): string {
  return withSamples(head(name, help, 'counter'), name, samples)
}

function withSamples(headText: string, name: string, samples: Iterable<readonly [Labels, number]>): string {
  let text = headText
  for (const [labels, value] of samples) text += sample(name, labels, value)
  return text
}

function head(name: string, help: string, type: 'counter' | 'gauge' | 'histogram'): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

/** Names of nodes come from other nodes, so they may hold anything. */
function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
