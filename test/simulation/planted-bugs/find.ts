import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { PlantedBug } from './bugs.ts'
import type { Finding } from './worker.ts'

/** Looks for each bug in a process of its own, as many at a time as there are cores. */
export async function findAll(
  bugs: readonly PlantedBug[],
  onFinding: (bug: PlantedBug, finding: Finding) => void,
): Promise<void> {
  const left = [...bugs]
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (let bug = left.shift(); bug !== undefined; bug = left.shift()) onFinding(bug, await findBug(bug))
    }),
  )
}

export function findBug({ name }: PlantedBug): Promise<Finding> {
  return new Promise((resolve, reject) => {
    const worker = fork(join(import.meta.dirname, 'worker.ts'), {
      execArgv: [
        '--conditions=@grapevine/source',
        '--disable-warning=ExperimentalWarning',
        `--import=${join(import.meta.dirname, 'plant.ts')}`,
      ],
      env: { ...process.env, PLANTED_BUG: name },
    })
    worker.once('message', (finding) => resolve(finding as Finding))
    worker.once('exit', (code) => reject(new Error(`the process with "${name}" ended with ${code}`)))
  })
}
