import { decodeUtf8, encodeBase64 } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { formatOf } from '../output/format.ts'
import { printDocument } from '../output/print.ts'
import { visible } from '../output/table.ts'

export const get: Command = {
  name: 'get',
  summary: 'Read a value',
  usage: 'get BUCKET KEY',
  details:
    'Writes the value to stdout as it is, byte for byte. With -o json, its version and type too; a value that is not\ntext is in "base64" then. Exits 3 when nothing is there.',
  flags: {
    consistency: { type: 'string', value: 'LEVEL', help: 'local, quorum or all (local)' },
    ...KEY_FLAGS,
  },
  examples: ['grapevine get carts 42', 'grapevine get carts 42 --endpoint n3 -o json'],
  takes: { least: 2, most: 2 },
  async run(call) {
    const [bucket = '', keyText = ''] = call.args
    const consistency = call.flags.choice('consistency', ['local', 'quorum', 'all'])
    await using grapevine = await openCluster(call)
    const entry = await grapevine
      .bucket(bucket, { codec: 'bytes' })
      .entry(keyOf(call, keyText), { consistency, signal: call.signal })
    if (entry === undefined)
      throw new CommandError(`There is nothing at ${visible(`${bucket}/${keyText}`)}.`, {
        exitCode: EXIT.notFound,
        next: `grapevine list ${bucket}, or grapevine inspect ${bucket} ${visible(keyText)}`,
      })
    const { value, etag, contentType, expiresAt, lastModified, servedBy } = entry
    const { stdout } = call.shell
    const text = decodeUtf8(value)
    if (formatOf(call.flags) === 'table') {
      await stdout.write(value)
      // A prompt behind the value would look like a part of it.
      if (stdout.isTTY && text?.endsWith('\n') === false) await stdout.write('\n')
      return EXIT.good
    }
    const shown = text === undefined ? { base64: encodeBase64(value) } : { value: text }
    await printDocument(
      call,
      { bucket, key: keyText, ...shown, contentType, etag, expiresAt, lastModified, servedBy },
      () => '',
    )
    return EXIT.good
  },
}
