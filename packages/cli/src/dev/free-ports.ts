import { createServer } from 'node:net'

/** Which of these addresses of this machine are taken. Asked beforehand, so that one message tells of all. */
export async function takenAddresses(addresses: readonly string[]): Promise<string[]> {
  const free = await Promise.all(addresses.map(isFree))
  return addresses.filter((_, index) => free[index] !== true)
}

function isFree(address: string): Promise<boolean> {
  const at = address.lastIndexOf(':')
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: address.slice(0, at), port: Number(address.slice(at + 1)), exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}
