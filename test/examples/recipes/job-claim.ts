// Many workers, and a job that one of them should do. It is done at least once, mostly exactly once: this is no lock.
import { GrapevineError, type Grapevine } from '@grapevine/client/node'

//#region claim
/**
 * @returns whether this worker has won, as far as anybody can tell now. Of two who claim on two nodes in the same moment
 *   both may pass the condition, which is checked where each write lands. One of the two versions is the greater one and
 *   wins everywhere, so both see the same winner as soon as every live replica has one of them or a newer one.
 */
export async function claim(grapevine: Grapevine, job: string, worker: string): Promise<boolean> {
  const claims = grapevine.bucket('claims')
  try {
    const receipt = await claims.put(job, { worker }, { ifAbsent: true, w: 'quorum', ttl: '5m' })
    await receipt.visible({ on: 'all', within: 5_000 })
    const winner = await claims.entry(job, { consistency: 'quorum' })
    return winner?.etag === receipt.etag
  } catch (error) {
    if (error instanceof GrapevineError && error.code === 'precondition_failed') return false
    throw error
  }
}
//#endregion
