import type { Subject } from '../peers/subject.ts'
import { runLoad, type Load, type LoadResult } from './load.ts'

export interface ServerSample extends LoadResult {
  /** CPU time of the server, all its threads, for one request. Less noisy than a rate where cores are shared. */
  readonly serverCpuUs: number
}

export async function measureServer(subject: Subject, load: Omit<Load, 'port'>): Promise<ServerSample> {
  let cpuBefore: Promise<number> = Promise.resolve(NaN)
  const result = await runLoad({
    ...load,
    port: subject.port,
    onMeasure: () => {
      cpuBefore = subject.child.cpuSeconds()
    },
  })
  const cpuSeconds = (await subject.child.cpuSeconds()) - (await cpuBefore)
  return { ...result, serverCpuUs: (cpuSeconds * 1e6) / result.requests }
}
