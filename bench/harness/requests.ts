import { randomBytes } from 'node:crypto'

export const VALUE_BYTES = 100
export const BUCKET = 'bench'

/** 16 bytes, so that keys cost the same whatever their number. */
export function keyName(index: number): string {
  return `key-${String(index).padStart(12, '0')}`
}

/** Random, so that no compression makes the disk look fast. */
export function newValue(): Buffer {
  return randomBytes(VALUE_BYTES)
}

export function httpGet(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
}

export function httpWithBody(
  method: 'PUT' | 'POST',
  path: string,
  contentType: string,
  body: Uint8Array,
  accept = '*/*',
): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

/** The same bytes for every HTTP server here: they all answer under Grapevine's paths. */
export function putRequest(key: string, value: Uint8Array): Buffer {
  return httpWithBody('PUT', kvPath(key), 'application/octet-stream', value)
}

export function getRequest(key: string): Buffer {
  return httpGet(kvPath(key))
}

function kvPath(key: string): string {
  return `/v1/kv/${BUCKET}/${key}`
}

/** Draws from these for ever, each equally likely. */
export function anyOf(requests: readonly Buffer[]): () => Buffer {
  return () => requests[Math.floor(Math.random() * requests.length)] ?? Buffer.alloc(0)
}

/** These in turn, from the first again after the last. */
export function eachOf(requests: readonly Buffer[]): () => Buffer {
  let next = 0
  return () => requests[next++ % requests.length] ?? Buffer.alloc(0)
}
