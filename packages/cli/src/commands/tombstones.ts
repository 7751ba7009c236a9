import type {
  AcknowledgementBody,
  FrontierHoldBody,
  KeyEndBody,
  PurgeGroundsBody,
  TombstoneExplainBody,
  TombstonesBody,
  TombstonesNode,
  WaitReason,
} from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { bytesText, countText, plural, spanText } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { paintOfState, type Style } from '../output/style.ts'
import { tableLines, visible, type Column } from '../output/table.ts'
import { UsageError } from '../usage-error.ts'

export const tombstones: Command = {
  name: 'tombstones',
  summary: 'What is deleted and still remembered, who holds it back, and why what went could go',
  usage: 'tombstones [explain BUCKET KEY]',
  details:
    'A tombstone goes once no member can bring back what it hides: when all have promised that nothing older comes any more, and\n' +
    'have seen the same. Exits 6 when that waits for a node that is not there, or when tombstones pile up. With explain: what one\n' +
    'key waits for, or what the members had said before it went; exits 3 when nothing is known of it.',
  flags: { ...KEY_FLAGS },
  examples: ['grapevine tombstones', 'grapevine tombstones explain carts 42 -o json'],
  takes: { least: 0, most: 3 },
  async run(call) {
    const [verb, bucket, key] = call.args
    if (verb === undefined) return showTombstones(call)
    if (verb !== 'explain')
      throw new UsageError(`${JSON.stringify(verb)} is nothing that tombstones does: only explain.`)
    if (bucket === undefined || key === undefined) throw new UsageError('Say which key: explain BUCKET KEY.')
    return explainKey(call, bucket, key)
  },
}

async function showTombstones(call: Call): Promise<ExitCode> {
  await using grapevine = await openCluster(call)
  const body = await grapevine.admin.tombstones({ signal: call.signal })
  await printDocument(call, body, (style) => tombstonesText(body, style))
  return body.warning || body.holds.some(({ state }) => state !== 'alive') ? EXIT.divergence : EXIT.good
}

async function explainKey(call: Call, bucket: string, keyText: string): Promise<ExitCode> {
  await using grapevine = await openCluster(call)
  // Found out before anything is sent.
  grapevine.bucket(bucket)
  const body = await grapevine.admin.explainTombstone(bucket, keyOf(call, keyText), { signal: call.signal })
  await printDocument(call, body, (style) => explainText(body, `${bucket}/${keyText}`, style))
  return body.state === 'unknown' ? EXIT.notFound : EXIT.good
}

export function tombstonesText(body: TombstonesBody, style: Style): string {
  const { frontier, frontierAgeMs, raisedMs, holds, nodes, warning, looked } = body
  const height =
    frontier === null
      ? 'Nothing was purged here yet'
      : `The frontier is ${spanText(frontierAgeMs ?? 0)} behind the clock${raisedMs === null ? '' : `, and was raised ${spanText(raisedMs)} ago`}`
  const waits = nodes.some(({ oldestMs }) => oldestMs !== null)
  const none = waits ? 'what waits goes within two purge intervals' : 'nothing waits to be purged'
  return [
    `${height}${holds.length === 0 ? `; ${none}` : ''}.\n`,
    looked ? '' : `${style.doubtful('Paused')}: of the other nodes is told what they had said before.\n`,
    ...holds.map((hold) => `${holdText(hold, style)}\n`),
    warning ? `${style.bad('Tombstones')} are a large share of all that is stored, and do not go.\n` : '',
    `\n${tableLines(nodeColumns(style), nodes, style)}`,
  ].join('')
}

function holdText(hold: FrontierHoldBody, style: Style): string {
  const { name, state, heldForMs } = hold
  const since = heldForMs < 1_000 ? 'since a moment' : `since ${spanText(heldForMs)}`
  const isGone = state !== 'alive'
  return `${(isGone ? style.bad : style.doubtful)(name)} holds the frontier back ${since}: ${whyText(hold)}`
}

/** Why somebody is waited for, and what to do. */
function whyText({ name, state, waits, lacks }: AcknowledgementBody): string {
  switch (state) {
    case 'dead':
      return `it is dead; start it, or: grapevine evict ${name}`
    case 'left':
      return `it was stopped; start it, or: grapevine evict ${name}`
    case 'suspect':
      return `it is not heard; see whether it runs and can be reached, or: grapevine evict ${name}`
    // An evicted one is not waited for.
    case 'evicted':
    case 'alive':
      return WHY[waits ?? 'silent'].replace('{lacks}', plural(lacks, 'write')).replace('{name}', name)
  }
}

const WHY: Readonly<Record<WaitReason, string>> = {
  silent: 'it was not heard yet since the node that answers started; ask again in a moment',
  'unaware-of-eviction': 'it does not know of an eviction yet, and hears of it with the next pull',
  'lacks-entries':
    'it lacks {lacks} that another node has, and pulls them by itself; if it does not: grapevine status {name}',
  'promised-less':
    'its clock has not passed that moment yet, or it has had no word since; if that lasts: grapevine members',
  unacquainted: 'it was started again, and promises nothing before it has heard from every other node',
}

function nodeColumns(style: Style): readonly Column<TombstonesNode>[] {
  return [
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paintOfState(state, style) },
    { title: 'NODE', text: ({ name }) => name },
    { title: 'KEYS', text: ({ keys }) => countText(keys) },
    { title: 'TOMBSTONES', text: (node) => countText(node.tombstones) },
    { title: 'SIZE', text: ({ tombstoneBytes }) => bytesText(tombstoneBytes) },
    { title: 'SHARE', text: ({ ratio }) => (ratio === null ? '?' : `${Math.round(ratio * 100)} %`) },
    {
      title: 'OLDEST',
      text: ({ oldestMs, keys }) => (keys === null ? '?' : oldestMs === null ? '-' : spanText(oldestMs)),
    },
    { title: 'FRONTIER', text: ({ frontier, keys }) => (keys === null ? '?' : (frontier?.at ?? '-')) },
  ]
}

export function explainText(body: TombstoneExplainBody, key: string, style: Style): string {
  const said = STORY[body.state](body, visible(key), style)
  return `${said}\n${tableLines(replicaColumns(style), body.replicas, style)}`
}

const STORY: Readonly<
  Record<TombstoneExplainBody['state'], (body: TombstoneExplainBody, key: string, style: Style) => string>
> = {
  value: ({ etag, purgeableAt }, key) =>
    `${key} is there, as version ${etag}.${purgeableAt === undefined ? '' : ` It expires, and may go after ${purgeableAt.at}.`}\n`,
  waiting: waitingText,
  absent: (body, key, style) =>
    `${key} ${endedText(body)}. The frontier has passed that, so it is absent everywhere; its rows go with the next purge.\n${groundsText(body.grounds, style)}`,
  purged: ({ purged, grounds }, key, style) =>
    `${key} ${purged?.what === 'expired' ? 'expired' : 'was deleted'} at ${purged?.endedAt}, as version ${purged?.etag}, and was purged at ${purged?.purgedAt}.\n${groundsText(grounds, style)}`,
  unknown: ({ rememberedSince }, key) =>
    `Nothing is held of ${key}, and no purge of it is remembered: it never was here, or it went longer ago. ` +
    `Each node remembers its newest 100 000 purged keys${rememberedSince === null ? '' : `, this one since ${rememberedSince}`}.\n`,
  corrupt: (_, key) => `The row of ${key} cannot be read here. Next: grapevine scrub\n`,
}

function waitingText(body: TombstoneExplainBody, key: string, style: Style): string {
  const { acknowledgements, looked } = body
  const waiting = acknowledgements.filter(({ waits }) => waits !== null)
  return [
    `${key} ${endedText(body)}. It goes once all members have promised that nothing older comes, and have seen the same.\n`,
    looked ? '' : `${style.doubtful('Paused')}: of the other nodes is told what they had said before.\n`,
    ...waiting.map((each) => `It waits for ${style.bad(each.name)}: ${whyText(each)}\n`),
    waiting.length === 0 ? 'It waits for nobody: it goes with the next purge.\n' : '',
    `\n${tableLines(acknowledgementColumns(style), acknowledgements, style)}`,
  ].join('')
}

function endedText({ what, purgeableAt, etag }: TombstoneExplainBody): string {
  return `${what === 'expired' ? 'expired' : 'was deleted'} at ${purgeableAt?.at}, as version ${etag}`
}

function groundsText(grounds: PurgeGroundsBody | null, style: Style): string {
  if (grounds === null)
    return 'Why that was safe is not remembered any more: each node keeps its newest 1 024 raises of the frontier.\n'
  const { at, decidedBy, frontier, known, promises, covered, evicted } = grounds
  if (!known)
    return `The frontier was taken over from ${decidedBy} at ${at}. What all members had said then is for ${decidedBy} to tell, which does not answer or has forgotten it.\n`
  const seen = covered === null ? 'the same' : `the same ${plural(covered.writes, 'write')} (${covered.hash})`
  return [
    `That was safe: by ${at} every member had promised that nothing as old as ${frontier.at} comes through it any more, and all had seen ${seen}. Decided by ${decidedBy}.\n`,
    evicted.length === 0 ? '' : `Not asked, because evicted: ${evicted.join(', ')}.\n`,
    `\n${tableLines(PROMISE_COLUMNS, promises, style)}`,
  ].join('')
}

function acknowledgementColumns(style: Style): readonly Column<AcknowledgementBody>[] {
  return [
    { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paintOfState(state, style) },
    { title: 'NODE', text: ({ name }) => name },
    { title: 'PROMISED', text: ({ promise }) => promise?.at ?? '-' },
    { title: 'LACKS', text: ({ lacks, promise }) => (promise === null ? '?' : countText(lacks)) },
    { title: 'WAITS', text: ({ waits }) => waits ?? '-' },
  ]
}

const PROMISE_COLUMNS: readonly Column<PurgeGroundsBody['promises'][number]>[] = [
  { title: 'NODE', text: ({ name }) => name },
  { title: 'PROMISED', text: ({ promise }) => promise.at },
]

function replicaColumns(style: Style): readonly Column<KeyEndBody>[] {
  return [
    { title: 'NODE', text: ({ name }) => name, paint: ({ memberState }) => paintOfState(memberState, style) },
    { title: 'HOLDS', text: ({ state }) => state },
    { title: 'VERSION', text: ({ etag }) => etag ?? '-' },
    { title: 'PURGED', text: ({ purgedAt }) => purgedAt ?? '-' },
  ]
}
