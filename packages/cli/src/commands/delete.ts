import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { formatOf } from '../output/format.ts'
import { printDocument, tell } from '../output/print.ts'
import { visible } from '../output/table.ts'
import { WRITE_FLAGS, writeOptionsOf } from '../write-flags.ts'

export const deleteCommand: Command = {
  name: 'delete',
  summary: 'Delete a key',
  usage: 'delete BUCKET KEY',
  details: 'Good also when nothing was there: then no older value can come back from a node that was away.',
  flags: { ...WRITE_FLAGS, ...KEY_FLAGS },
  examples: ['grapevine delete carts 42', 'grapevine delete carts 42 --w quorum'],
  takes: { least: 2, most: 2 },
  async run(call) {
    const [bucket = '', keyText = ''] = call.args
    await using grapevine = await openCluster(call)
    const receipt = await grapevine.bucket(bucket).delete(keyOf(call, keyText), writeOptionsOf(call))
    const { etag, acks, servedBy } = receipt
    const where = visible(`${bucket}/${keyText}`)
    if (formatOf(call.flags) === 'table') await tell(call, `${where} is deleted on ${acks.count} of ${acks.of} nodes.`)
    else await printDocument(call, { bucket, key: keyText, etag, acks, servedBy }, () => '')
    return EXIT.good
  },
}
