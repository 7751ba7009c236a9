import type { Random } from '../../packages/core/src/index.ts'

/** What the explorer has to know of a world. States are values: a step makes a new one. */
export interface Model<State> {
  readonly initial: State
  /** Equal states have equal text, whatever way led to them. */
  readonly textOf: (state: State) => string
  readonly steps: (state: State) => Iterable<Step<State>>
  /** What is wrong in a state, or `undefined`. */
  readonly fault: (state: State) => string | undefined
}

export interface Step<State> {
  readonly what: string
  readonly state: State
}

export interface Bounds {
  /** The most states to look at: memory and patience end somewhere. */
  readonly states: number
  readonly depth: number
}

/** A run that ends in a fault, as somebody would tell it. */
export interface Failure {
  readonly fault: string
  readonly run: readonly string[]
}

export interface Exploration {
  readonly states: number
  /** The longest of all shortest ways to a state. */
  readonly depth: number
  /** Whether every state that can be reached was looked at. */
  readonly exhausted: boolean
  readonly failure: Failure | undefined
}

/** Breadth first, so that the first fault that is found has a shortest run. */
export function explore<State>(model: Model<State>, bounds: Bounds): Exploration {
  const came: { from: number; what: string; depth: number }[] = [{ from: -1, what: '', depth: 0 }]
  const seen = new Set([model.textOf(model.initial)])
  let level: { index: number; state: State }[] = [{ index: 0, state: model.initial }]
  let depth = 0
  const runTo = (index: number): string[] => {
    const run: string[] = []
    for (let at = came[index]; at !== undefined && at.from >= 0; at = came[at.from]) run.unshift(at.what)
    return run
  }
  const first = model.fault(model.initial)
  if (first !== undefined) return { states: 1, depth, exhausted: false, failure: { fault: first, run: [] } }
  for (; level.length > 0 && depth < bounds.depth; depth++) {
    const deeper: { index: number; state: State }[] = []
    for (const { index, state } of level) {
      for (const step of model.steps(state)) {
        const text = model.textOf(step.state)
        if (seen.has(text)) continue
        if (seen.size >= bounds.states) return { states: seen.size, depth, exhausted: false, failure: undefined }
        seen.add(text)
        const next = came.push({ from: index, what: step.what, depth }) - 1
        const fault = model.fault(step.state)
        if (fault !== undefined)
          return { states: seen.size, depth: depth + 1, exhausted: false, failure: { fault, run: runTo(next) } }
        deeper.push({ index: next, state: step.state })
      }
    }
    level = deeper
  }
  return {
    states: seen.size,
    depth: level.length === 0 ? depth - 1 : depth,
    exhausted: level.length === 0,
    failure: undefined,
  }
}

/** One run of steps drawn by chance: it goes where a search is too wide to go. */
export function walk<State>(model: Model<State>, steps: number, random: Random): Failure | undefined {
  const run: string[] = []
  let { initial: state } = model
  while (run.length < steps) {
    const possible = [...model.steps(state)]
    const step = possible[Math.floor(random.next() * possible.length)]
    if (step === undefined) return undefined
    run.push(step.what)
    state = step.state
    const fault = model.fault(state)
    if (fault !== undefined) return { fault, run }
  }
  return undefined
}
