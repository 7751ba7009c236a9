import type { Bucket, Grapevine, Key, Session } from '@grapevine/client'
import { defineDriver, type Driver, type StorageMeta, type TransactionOptions, type WatchCallback } from 'unstorage'

export interface GrapevineDriverOptions {
  /** A client (`dispose` closes it), or a session of one (whose client stays open). */
  readonly grapevine: Session | Grapevine
  /** The bucket that holds the items. Default `unstorage`. */
  readonly bucket?: string | undefined
  /** Put before every key, as `app:`. */
  readonly base?: string | undefined
  /** Seconds until items expire that are written without a `ttl` of their own. */
  readonly ttl?: number | undefined
  /** Called with what ends a watch before its time. */
  readonly onWatchError?: ((error: unknown) => void) | undefined
}

const TEXT = 'text/plain; charset=utf-8'
/** As many as fit one batch. */
const CLEAR_TOGETHER = 1_000

/** A driver of unstorage over a Grapevine cluster. Operations of one tick share a request. */
const grapevineDriver: (options: GrapevineDriverOptions) => Driver<GrapevineDriverOptions, Session | Grapevine> =
  defineDriver((options: GrapevineDriverOptions) => {
    const { grapevine, base = '' } = options
    const bucket = grapevine.bucket(options.bucket ?? 'unstorage', { codec: 'bytes' })
    const watches = new Set<AbortController>()

    return {
      name: 'grapevine',
      options,
      flags: { ttl: true },
      getInstance: () => grapevine,
      hasItem: async (key) => (await bucket.entry(base + key)) !== undefined,
      async getItem(key) {
        const bytes = await bucket.get(base + key)
        return bytes === undefined ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
      },
      getItemRaw: async (key) => (await bucket.get(base + key)) ?? null,
      async setItem(key, value, itemOptions) {
        await bucket.put(base + key, new TextEncoder().encode(value), {
          contentType: TEXT,
          ...ttlOf(itemOptions, options),
        })
      },
      async setItemRaw(key, value: unknown, itemOptions) {
        await bucket.put(base + key, bytesOf(value), ttlOf(itemOptions, options))
      },
      async removeItem(key) {
        await bucket.delete(base + key)
      },
      async getMeta(key) {
        const entry = await bucket.entry(base + key)
        if (entry === undefined) return null
        const { etag, contentType, expiresAt, lastModified, value } = entry
        const meta: StorageMeta = { etag, contentType, size: value.length }
        if (lastModified !== undefined) meta.mtime = lastModified
        if (expiresAt !== undefined) meta.ttl = Math.max(0, Math.ceil((expiresAt.getTime() - Date.now()) / 1_000))
        return meta
      },
      getKeys: (prefix) => textKeys(bucket, base, prefix),
      async clear(prefix) {
        const keys = await textKeys(bucket, base, prefix)
        for (let from = 0; from < keys.length; from += CLEAR_TOGETHER)
          await Promise.all(keys.slice(from, from + CLEAR_TOGETHER).map((key) => bucket.delete(base + key)))
      },
      watch(callback) {
        const controller = new AbortController()
        watches.add(controller)
        void watchBucket(bucket, base, callback, controller.signal).catch((error: unknown) => {
          if (!controller.signal.aborted) options.onWatchError?.(error)
        })
        return () => {
          controller.abort()
          watches.delete(controller)
        }
      },
      async dispose() {
        for (const controller of watches) controller.abort()
        watches.clear()
        if ('close' in grapevine) await grapevine.close()
      },
    }
  })

export default grapevineDriver

/** Tells of what changes, wherever in the cluster. After a gap everything that is there may have changed. */
async function watchBucket(
  bucket: Bucket<Uint8Array>,
  base: string,
  callback: WatchCallback,
  signal: AbortSignal,
): Promise<void> {
  for await (const change of bucket.watch({ prefix: base, signal })) {
    if (change.type === 'resync') {
      for (const key of await textKeys(bucket, base, '')) callback('update', key)
    } else if (typeof change.key === 'string') {
      callback(change.type === 'put' ? 'update' : 'remove', change.key.slice(base.length))
    }
  }
}

/** The keys under a prefix, without our base. unstorage's keys are text: what else is in the bucket is not its own. */
async function textKeys(bucket: Bucket<Uint8Array>, base: string, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  const isText = (key: Key): key is string => typeof key === 'string'
  for await (const { key } of bucket.keys({ prefix: base + prefix })) if (isText(key)) keys.push(key.slice(base.length))
  return keys
}

/** unstorage counts in seconds. */
function ttlOf({ ttl }: TransactionOptions = {}, options: GrapevineDriverOptions): { readonly ttl?: number } {
  const seconds: unknown = ttl ?? options.ttl
  return typeof seconds === 'number' && seconds > 0 ? { ttl: Math.ceil(seconds * 1_000) } : {}
}

/** @throws {TypeError} for what is neither bytes nor text. */
function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (typeof value === 'string') return new TextEncoder().encode(value)
  throw new TypeError('A raw value is bytes or text: give others to setItem.')
}
