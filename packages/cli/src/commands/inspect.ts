import type { InspectReplica } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { agoText, bytesText } from '../output/numbers.ts'
import { printDocument } from '../output/print.ts'
import { paintOfState, type Style } from '../output/style.ts'
import { tableLines, visible, type Column } from '../output/table.ts'

export const inspect: Command = {
  name: 'inspect',
  summary: 'One key on every replica, side by side',
  usage: 'inspect BUCKET KEY',
  details: 'Exits 3 when no replica holds anything for the key, not even the memory of its deletion.',
  flags: { ...KEY_FLAGS },
  examples: ['grapevine inspect carts 42', 'grapevine inspect carts 42 -o json'],
  takes: { least: 2, most: 2 },
  async run(call) {
    const [bucket = '', keyText = ''] = call.args
    await using grapevine = await openCluster(call)
    // Found out before anything is sent.
    grapevine.bucket(bucket)
    const body = await grapevine.admin.inspect(bucket, keyOf(call, keyText), { signal: call.signal })
    await printDocument(call, body, (style) => {
      const verdict = body.converged
        ? style.good('the same on all replicas')
        : style.bad('not the same on all replicas')
      return `${visible(`${bucket}/${keyText}`)}: ${verdict}\n${tableLines(columns(style), body.replicas, style)}`
    })
    return body.replicas.every(({ state }) => state === 'nothing') ? EXIT.notFound : EXIT.good
  },
}

function columns(style: Style): readonly Column<InspectReplica>[] {
  return [
    { title: 'NODE', text: ({ name }) => name, paint: ({ memberState }) => paintOfState(memberState, style) },
    { title: 'HOLDS', text: ({ state }) => state },
    { title: 'VERSION', text: ({ etag }) => etag ?? '-' },
    { title: 'HASH', text: ({ hash }) => hash?.slice(0, 16) ?? '-' },
    { title: 'SIZE', text: ({ size }) => (size === undefined ? '-' : bytesText(size)), align: 'right' },
    { title: 'WRITTEN', text: ({ ageMs }) => (ageMs === undefined ? '-' : agoText(ageMs)) },
    { title: 'EXPIRES', text: ({ expiresAt }) => expiresAt ?? '-' },
  ]
}
