import type { ScenarioReport } from '../harness/results.ts'
import { UnavailableError, type Subject } from './subject.ts'

/** Starts a peer, or says in the results why it is missing there. */
export async function ifAvailable(start: () => Promise<Subject>, report: ScenarioReport): Promise<Subject | undefined> {
  try {
    return await start()
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error
    report.remark(`left out: ${error.message}`)
    return undefined
  }
}
