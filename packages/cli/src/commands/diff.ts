import { GrapevineError } from '@grapevine/client'
import type { Grapevine } from '@grapevine/client/admin'
import {
  bytesOfKeyFields,
  decodeUtf8,
  encodeBase64,
  LIST_LIMIT_MAX,
  type DiffBody,
  type DiffKey,
  type EntryOutlineBody,
} from '@grapevine/contract'
import { openNode } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { formatOf } from '../output/format.ts'
import { bytesText, plural } from '../output/numbers.ts'
import { printRows, tell } from '../output/print.ts'
import type { Column } from '../output/table.ts'

const VALUE_CHARACTERS_SHOWN = 40

type Side = EntryOutlineBody & { readonly value?: string; readonly base64?: string }
type Difference = Omit<DiffKey, 'a' | 'b'> & { readonly a: Side | null; readonly b: Side | null }

interface Names {
  a: string
  b: string
}

export const diff: Command = {
  name: 'diff',
  summary: 'Exactly the keys that differ between two nodes',
  usage: 'diff NODE NODE [--prefix P] [--values]',
  details:
    'Nodes are named as n1, host:port or URL. --prefix is of the key, or of bucket/key. With -o json there is one object\nfor each key: { bucket, key, a, b, newer }. Exits 6 when keys differ.',
  flags: {
    prefix: { type: 'string', value: 'P', help: 'Only keys that begin so' },
    values: { type: 'boolean', help: 'With the values of both' },
  },
  examples: ['grapevine diff n1 n3', 'grapevine diff n1 n3 --prefix carts/user: --values'],
  takes: { least: 2, most: 2 },
  async run(call) {
    const [first = '', second = ''] = call.args
    const names: Names = { a: first, b: second }
    await using a = await openNode(call, first)
    await using b = await openNode(call, second)
    const found = differences(call, a, await nameOf(second, b, call), names)
    const rows = call.flags.has('values') ? withValues(found, a, b, call) : found
    const count = await printRows(
      call,
      rows,
      () => [...columns(names), ...(call.flags.has('values') ? VALUES : [])],
      (row) => row,
    )
    if (formatOf(call.flags) === 'table')
      await tell(
        call,
        count === 0
          ? `${names.a} and ${names.b} hold the same.`
          : `${plural(count, 'key')} differ.\nNext: grapevine repair`,
      )
    return count === 0 ? EXIT.good : EXIT.divergence
  },
}

async function* differences(
  call: Call,
  a: Grapevine,
  other: string,
  names: Names,
): AsyncGenerator<Difference, void, void> {
  const prefix = call.flags.text('prefix') ?? ''
  let cursor: string | undefined
  do {
    const page: DiffBody = await a.admin.diff(other, { cursor, limit: LIST_LIMIT_MAX, signal: call.signal })
    names.a = page.a.name
    names.b = page.b.name
    for (const key of page.keys)
      if (key.key.startsWith(prefix) || `${key.bucket}/${key.key}`.startsWith(prefix)) yield key
    cursor = page.cursor ?? undefined
  } while (cursor !== undefined)
}

/** A node knows others by their names; a URL may lead to it by another way than the one it tells. */
async function nameOf(text: string, node: Grapevine, call: Call): Promise<string> {
  if (!text.includes(':')) return text
  const { members } = await node.admin.members({ signal: call.signal })
  return members.find(({ self }) => self)?.name ?? text
}

async function* withValues(
  rows: AsyncIterable<Difference>,
  a: Grapevine,
  b: Grapevine,
  call: Call,
): AsyncGenerator<Difference, void, void> {
  for await (const row of rows)
    yield {
      ...row,
      a: row.a && (await withValue(row, row.a, a, call)),
      b: row.b && (await withValue(row, row.b, b, call)),
    }
}

async function withValue(row: Difference, side: Side, node: Grapevine, { signal }: Call): Promise<Side> {
  const key = bytesOfKeyFields(row)
  if (side.state !== 'value' || key === undefined) return side
  const bucket = node.bucket(row.bucket, { codec: 'bytes' })
  const entry = await bucket.entry(key, { consistency: 'local', signal }).catch((error: unknown) => {
    // It may have been repaired meanwhile, or its row may be corrupt: the rest of the report still holds.
    if (error instanceof GrapevineError && error.code !== 'aborted') return undefined
    throw error
  })
  if (entry === undefined) return side
  const text = decodeUtf8(entry.value)
  return text === undefined ? { ...side, base64: encodeBase64(entry.value) } : { ...side, value: text }
}

function columns(names: Names): readonly Column<Difference>[] {
  return [
    { title: 'BUCKET', text: ({ bucket }) => bucket },
    { title: 'KEY', text: ({ key, keyEncoding }) => (keyEncoding ? `${keyEncoding}:${key}` : key) },
    { title: names.a, text: ({ a }) => sideText(a) },
    { title: names.b, text: ({ b }) => sideText(b) },
    { title: 'NEWER', text: ({ newer }) => names[newer] },
  ]
}

const VALUES: readonly Column<Difference>[] = [
  { title: 'VALUE', text: ({ a }) => valueText(a) },
  { title: 'OTHER VALUE', text: ({ b }) => valueText(b) },
]

function sideText(side: Side | null): string {
  if (side === null) return 'nothing'
  return side.state === 'value' ? `${side.etag} (${bytesText(side.size)})` : `${side.etag} (${side.state})`
}

function valueText(side: Side | null): string {
  if (side?.value === undefined) return side?.base64 === undefined ? '-' : `(${bytesText(side.size)})`
  return side.value.length > VALUE_CHARACTERS_SHOWN ? `${side.value.slice(0, VALUE_CHARACTERS_SHOWN)}…` : side.value
}
