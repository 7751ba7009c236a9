import type { SimulationPlan, WorkloadPlan } from './plan.ts'
import { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts'

export interface Minimised {
  /** The smallest plan that still fails, as it ran. */
  readonly result: SimulationResult
  readonly runs: number
}

/** A run takes about a second, and who looks at a failure waits a minute gladly. */
const RUNS_MAX = 60
const CHAOS_STEP_MS = 1_000

/**
 * Makes a failing plan smaller while the same checker still finds something: fewer faults, fewer clients, better links,
 * less time, fewer nodes. A smaller plan is another run, so what it finds may be another cause: read both.
 */
export async function minimise(options: SimulationOptions, runsMax: number = RUNS_MAX): Promise<Minimised> {
  let best = await simulate(options)
  let runs = 1
  const wanted = new Set(best.violations.map(({ checker }) => checker))
  const improve = async (plan: SimulationPlan): Promise<boolean> => {
    if (runs >= runsMax) return false
    runs++
    const result = await simulate({ ...options, plan })
    const failsAlike = result.violations.some(({ checker }) => wanted.has(checker))
    if (failsAlike) best = result
    return failsAlike
  }
  if (best.violations.length === 0) return { result: best, runs }

  await dropFaults(() => best.plan, improve)
  for (const quality of Object.keys(best.plan.network)) {
    const { [quality as keyof typeof best.plan.network]: _, ...network } = best.plan.network
    await improve({ ...best.plan, network })
  }
  const endMs = Math.ceil((best.violations[0]?.atMs ?? 0) / CHAOS_STEP_MS) * CHAOS_STEP_MS
  if (endMs >= CHAOS_STEP_MS && endMs < best.plan.chaosMs) await improve({ ...best.plan, chaosMs: endMs })
  while (
    best.plan.chaosMs > 4 * CHAOS_STEP_MS &&
    (await improve({ ...best.plan, chaosMs: Math.round(best.plan.chaosMs / 2) }))
  );
  for (const less of LESS_WORK) {
    const changed = less(best.plan.workload)
    if (changed !== undefined) await improve({ ...best.plan, workload: { ...best.plan.workload, ...changed } })
  }
  for (const { name } of best.plan.nodes.slice(1).toReversed()) await improve(without(best.plan, name))
  await improve({ ...best.plan, away: [] })
  await dropFaults(() => best.plan, improve)
  return { result: best, runs }
}

/** Delta debugging (Zeller 1999): leave out halves, then quarters, then single ones, as long as it still fails. */
async function dropFaults(
  plan: () => SimulationPlan,
  improve: (plan: SimulationPlan) => Promise<boolean>,
): Promise<void> {
  for (const kind of new Set(plan().faults.map((fault) => fault.kind)))
    await improve({ ...plan(), faults: plan().faults.filter((fault) => fault.kind !== kind) })
  for (let size = Math.ceil(plan().faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < plan().faults.length;) {
      const faults = plan().faults.filter((_, index) => index < from || index >= from + size)
      if (!(await improve({ ...plan(), faults }))) from += size
    }
  }
}

const LESS_WORK: readonly ((workload: WorkloadPlan) => Partial<WorkloadPlan> | undefined)[] = [
  () => ({ clients: 0 }),
  ({ clients }) => (clients > 1 ? { clients: 1 } : undefined),
  () => ({ keys: 1, hotKeys: 1 }),
  () => ({ preconditionShare: 0 }),
  () => ({ sessionShare: 0 }),
  () => ({ quorumShare: 0, allShare: 0 }),
  () => ({ readShare: 0 }),
  () => ({ deleteShare: 0 }),
  () => ({ valueBytesMax: 1 }),
  ({ thinkMs }) => ({ thinkMs: thinkMs * 4 }),
]

function without(plan: SimulationPlan, name: string): SimulationPlan {
  return {
    ...plan,
    nodes: plan.nodes.filter((node) => node.name !== name),
    faults: plan.faults.filter((fault) => !Object.values(fault).includes(name)),
    away: plan.away.filter((away) => away !== name),
  }
}
