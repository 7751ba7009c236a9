// Who is here now: an entry that goes away by itself when nobody renews it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Grapevine } from '@grapevine/client/node'

//#region presence
const TTL_MS = 6_000
/** Three tries within the time, so that one lost answer makes nobody disappear. */
const RENEW_MS = 2_000

/** Says that `who` is here until the signal fires. */
export async function stay(grapevine: Grapevine, who: string, signal: AbortSignal): Promise<void> {
  const here = grapevine.bucket('here')
  while (!signal.aborted) {
    // A failed renewal is not worth an error: the next one comes soon.
    await here.put(who, { since: new Date().toISOString() }, { ttl: TTL_MS }).catch(() => undefined)
    await sleep(RENEW_MS, undefined, { signal }).catch(() => undefined)
  }
  await here.delete(who)
}

export async function whoIsHere(grapevine: Grapevine): Promise<string[]> {
  const names: string[] = []
  for await (const { key } of grapevine.keys('here')) names.push(String(key))
  return names
}
//#endregion
