import type { HistoryEvent } from './history/history.ts'
import type { SimulationResult } from './simulate.ts'
import { spaceTimeDiagram } from './space-time.ts'

const LAST_EVENTS = 30
const VIOLATIONS_SHOWN_MAX = 20
const LINE_CHARACTERS_MAX = 240

/** What there is so much of that it would hide the rest. */
const NOISE: ReadonlySet<HistoryEvent['type']> = new Set(['accepted', 'queue'])

/**
 * All that somebody needs who has to find out why: what was wrong, what happened, and how to see it again.
 * @param software which code ran: its version, or its commit.
 */
export function failureReport(result: SimulationResult, software: string): string {
  const { seed, plan, traceHash, violations, history } = result
  const [first] = violations
  if (first === undefined) return `seed ${seed}: nothing was found wrong (trace ${traceHash})`
  const key = violations.find((violation) => violation.key !== undefined)?.key
  const until = history.filter(({ atMs, type }) => atMs <= first.atMs && !NOISE.has(type)).slice(-LAST_EVENTS)
  const rest = violations.length - VIOLATIONS_SHOWN_MAX
  return [
    `seed ${seed}, trace ${traceHash}, ${software}`,
    '',
    `What is wrong (${violations.length}):`,
    ...violations
      .slice(0, VIOLATIONS_SHOWN_MAX)
      .map(({ checker, atMs, message }) => `  ${checker}, ${Math.round(atMs)} ms: ${message}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    '',
    `The last ${until.length} events before it:`,
    ...until.map((event) => `  ${JSON.stringify(event).slice(0, LINE_CHARACTERS_MAX)}`),
    ...(key === undefined ? [] : ['', `What happened to ${key}:`, spaceTimeDiagram(history, namesOf(plan), key)]),
    '',
    'The plan, to be kept in a file:',
    JSON.stringify(plan),
    '',
    `Again: grapevine simulate --seed ${seed} --scenario FILE`,
    '',
  ].join('\n')
}

function namesOf({ nodes }: SimulationResult['plan']): string[] {
  return nodes.map(({ name }) => name)
}
