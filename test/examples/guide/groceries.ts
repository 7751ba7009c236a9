//#region open
import { connect, json } from '@grapevine/client/node'
import { openOutbox } from '@grapevine/client/outbox'
import { z } from 'zod'

const endpoints = process.env['GRAPEVINE_ENDPOINTS'] ?? 'http://127.0.0.1:7700,http://127.0.0.1:7710'
const Item = z.object({ amount: z.number().int().positive(), by: z.string().default('somebody') })
const item = json(Item)

await using grapevine = await connect(endpoints.split(','))
const groceries = grapevine.bucket('groceries', { codec: item })
//#endregion

//#region more
/** So many more of it. Whoever changes the same thing at the same node in between makes it begin again. */
async function more(name: string, amount: number): Promise<void> {
  const receipt = await groceries.update(name, (old) => ({ ...old, amount: (old?.amount ?? 0) + amount }))
  const { holders } = await receipt.visible({ on: 'all', within: 5_000 })
  console.log(`on ${holders.map((holder) => holder.name).join(', ')}`)
}
//#endregion

//#region show
async function show(): Promise<void> {
  for await (const { key, value } of groceries.list()) console.log(`${value.amount} × ${String(key)}`)
}
//#endregion

//#region watch
async function watch(): Promise<void> {
  // It begins with a `resync`: list, and from there on hear of every change.
  for await (const change of groceries.watch({ initial: true })) {
    if (change.type === 'resync') await show()
    else {
      const found = change.type === 'put' ? await groceries.get(change.key) : undefined
      console.log(found === undefined ? `${String(change.key)} is done` : `${found.amount} × ${String(change.key)}`)
    }
  }
}
//#endregion

//#region offline
/** Done when it is kept on this device. It goes to the cluster at once if there is one, and else later. */
async function note(name: string, amount: number): Promise<void> {
  await using outbox = await openOutbox(grapevine, { location: './groceries-outbox' })
  await outbox.bucket('groceries', { codec: item }).put(name, { amount })
  await send(outbox)
}

async function send(outbox: Awaited<ReturnType<typeof openOutbox>>): Promise<void> {
  await outbox.flush({ signal: AbortSignal.timeout(3_000) }).catch(() => undefined)
  const { pending } = outbox.status()
  console.log(pending === 0 ? 'sent' : `${pending} kept here until there is a node to take them`)
}
//#endregion

//#region main
const [command = 'show', name = '', amount = '1'] = process.argv.slice(2)
if (command === 'show') await show()
else if (command === 'watch') await watch()
else if (command === 'more') await more(name, Number(amount))
else if (command === 'note') await note(name, Number(amount))
else if (command === 'done') await groceries.delete(name)
else if (command === 'send') {
  await using outbox = await openOutbox(grapevine, { location: './groceries-outbox' })
  await send(outbox)
} else throw new Error(`show, watch, more, note, done or send, not ${command}`)
//#endregion
