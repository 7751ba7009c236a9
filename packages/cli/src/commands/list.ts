import type { Key, ListedEntry, ListedKey, ListOptions } from '@grapevine/client'
import { decodeUtf8, encodeBase64, encodeBase64Url, type KeyFields } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { formatOf } from '../output/format.ts'
import { bytesText, plural, spanText } from '../output/numbers.ts'
import { printRows, tell } from '../output/print.ts'
import type { Column } from '../output/table.ts'

const VALUE_CHARACTERS_SHOWN = 60

type Listed = ListedKey & Partial<Pick<ListedEntry<Uint8Array>, 'value'>>

export const list: Command = {
  name: 'list',
  summary: 'List the keys of a bucket',
  usage: 'list BUCKET [--prefix P]',
  details: 'In bytewise order. --start is inclusive, --end exclusive.',
  flags: {
    prefix: { type: 'string', value: 'P', help: 'Only keys that begin so' },
    start: { type: 'string', value: 'KEY', help: 'From this key on' },
    end: { type: 'string', value: 'KEY', help: 'Up to this key, without it' },
    reverse: { type: 'boolean', help: 'Last key first' },
    limit: { type: 'string', value: 'N', help: 'At most so many (all)' },
    values: { type: 'boolean', help: 'With the values' },
    ...KEY_FLAGS,
  },
  examples: ['grapevine list carts --prefix user: --limit 20', 'grapevine list carts --values -o ndjson'],
  takes: { least: 1, most: 1 },
  async run(call) {
    const [bucket = ''] = call.args
    const withValues = call.flags.has('values')
    await using grapevine = await openCluster(call)
    const options = listOptionsOf(call)
    const items: AsyncIterable<Listed> = withValues
      ? grapevine.bucket(bucket, { codec: 'bytes' }).list(options)
      : grapevine.keys(bucket, options)
    const count = await printRows(call, items, () => (withValues ? [...COLUMNS, VALUE] : COLUMNS), jsonOf)
    if (formatOf(call.flags) === 'table') await tell(call, `${plural(count, 'key')} in ${bucket}.`)
    return EXIT.good
  },
}

function listOptionsOf(call: Call): ListOptions {
  const bound = (name: string): Key | undefined => {
    const text = call.flags.text(name)
    return text === undefined ? undefined : keyOf(call, text)
  }
  return {
    prefix: bound('prefix'),
    start: bound('start'),
    end: bound('end'),
    reverse: call.flags.has('reverse'),
    limit: call.flags.count('limit', 1, Number.MAX_SAFE_INTEGER),
    timeoutMs: call.flags.duration('timeout'),
    signal: call.signal,
  }
}

const COLUMNS: readonly Column<Listed>[] = [
  { title: 'KEY', text: ({ key }) => (typeof key === 'string' ? key : `base64url:${encodeBase64Url(key)}`) },
  { title: 'SIZE', text: ({ size }) => bytesText(size), align: 'right' },
  { title: 'TYPE', text: ({ contentType }) => contentType },
  { title: 'EXPIRES', text: ({ expiresAt }) => (expiresAt ? `in ${spanText(expiresAt.getTime() - Date.now())}` : '-') },
  { title: 'VERSION', text: ({ etag }) => etag },
]

const VALUE: Column<Listed> = {
  title: 'VALUE',
  text: ({ value = new Uint8Array() }) => {
    const text = decodeUtf8(value)
    if (text === undefined) return `(${bytesText(value.length)})`
    return text.length > VALUE_CHARACTERS_SHOWN ? `${text.slice(0, VALUE_CHARACTERS_SHOWN)}…` : text
  },
}

function jsonOf({ key, etag, size, contentType, expiresAt, value }: Listed): unknown {
  const text = value && decodeUtf8(value)
  const shown = value === undefined ? {} : text === undefined ? { base64: encodeBase64(value) } : { value: text }
  return { ...keyFields(key), etag, size, contentType, expiresAt, ...shown }
}

function keyFields(key: Key): KeyFields {
  return typeof key === 'string' ? { key } : { key: encodeBase64Url(key), keyEncoding: 'base64url' }
}
