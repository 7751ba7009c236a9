import { FORMER_IDS_MAX, type Clock, type Log, type Random, type StoredState } from '@grapevine/core'
import { FatalError, type FatalCode } from '@grapevine/replica'
import { asidesIn, formerOf, noteJoiner, setAside, type Former } from '@grapevine/storage'

/** What ends a replica and not the node: it returns as an empty one, under a new id (frontier.md R13, R15, R16). */
const CURED: ReadonlySet<FatalCode> = new Set(['evicted', 'rolled_back', 'sponsor_lost', 'not_introduced'])

/**
 * Directories of data set aside with which a node still begins anew by itself. Each may hold writes that nobody else has, and
 * each is as large as the data, so none is removed without being looked at; and a node that is evicted again and again comes
 * to rest.
 */
const ASIDES_MAX = 3

export interface BeginAnewContext {
  readonly dataDir: string
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Log
}

/**
 * After a replica has found out that it is none any more and has been closed: sets its data aside, so that the node may be
 * opened again, empty. What it was and where members lived is kept beside it.
 *
 * @returns `false` when the error is of another kind.
 * @throws {FatalError} when somebody has to look first.
 */
export async function beginAnew(
  error: unknown,
  { identity, peers }: Pick<StoredState, 'identity' | 'peers'>,
  { dataDir, clock, log }: BeginAnewContext,
): Promise<boolean> {
  if (!(error instanceof FatalError) || !CURED.has(error.code) || identity === undefined) return false
  // Before it was a member it took no writes: there is nothing to keep, but the ids of those attempts are somebody's members.
  const isUnfinished = identity.stage === 'joining'
  const before = isUnfinished ? ((await formerOf(dataDir))?.replicas ?? []) : []
  const asides = await asidesIn(dataDir)
  if (before.length >= FORMER_IDS_MAX)
    throw new FatalError(error.code, `${error.message} It has tried that ${FORMER_IDS_MAX} times in a row by itself.`)
  if (!isUnfinished && asides.length >= ASIDES_MAX)
    throw new FatalError(
      error.code,
      `${error.message} It does so by itself ${ASIDES_MAX} times, and no more before somebody has looked at what it set ` +
        `aside: ${asides.join(', ')}. Save what is needed from there, remove them, and start again.`,
    )
  const aside = await setAside(dataDir, {
    stamp: stampOf(clock.wallMs()),
    replicas: [...before, identity.replica],
    addresses: peers.map(({ address }) => address),
    discards: isUnfinished,
  })
  log.warn('begins-anew', {
    reason: error.code,
    former: identity.replica,
    ...(aside === undefined ? {} : { aside, advice: ADVICE }),
  })
  return true
}

/**
 * For `--rebuild`: whatever is wrong with the directory. It does not say whose it was, since it may be the copy of a node that
 * goes on; the name decides whom it replaces. What this node gave up before stays noted.
 */
export async function rebuild({ dataDir, clock, log }: BeginAnewContext): Promise<void> {
  const { replicas = [], addresses = [] } = (await formerOf(dataDir)) ?? {}
  const aside = await setAside(dataDir, { stamp: stampOf(clock.wallMs()), replicas, addresses })
  if (aside !== undefined) log.warn('data-set-aside', { aside, advice: ADVICE })
}

/** The id by which to ask for a sponsor: the same after a crash, until one has answered. */
export async function joinerIn(dataDir: string, random: Random): Promise<string> {
  const noted = (await formerOf(dataDir))?.joiner ?? ''
  if (noted !== '') return noted
  const drawn = random.hex(8)
  await noteJoiner(dataDir, drawn)
  return drawn
}

/** Where to look for a sponsor: seeds first, then where members were when this node was one. */
export function addressesToAsk(seeds: readonly string[], former: Former | undefined): readonly string[] {
  return [...new Set([...seeds, ...(former?.addresses ?? [])])]
}

const ADVICE =
  'the node joins anew and fetches everything from the others. Writes that it had taken and no other member has are only in ' +
  'that directory now: `grapevine snapshot save FILE --from` it saves them, docs/membership.md says how they come back. Remove ' +
  'it once nobody needs them'

function stampOf(wallMs: number): string {
  return new Date(wallMs).toISOString().replaceAll(':', '-')
}
