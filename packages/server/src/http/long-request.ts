import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

const SOCKETS = new WeakSet<Socket>()

/**
 * Lets the body of this request take as long as it takes: a snapshot is as large as the data. Only the limit on the whole
 * request is lifted; a connection on which nothing moves is cut off as every other.
 */
export function letTakeLong({ socket }: IncomingMessage): void {
  SOCKETS.add(socket)
}

export function mayTakeLong(socket: Socket): boolean {
  return SOCKETS.has(socket)
}
