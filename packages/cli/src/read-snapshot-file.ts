import {
  MalformedSnapshotError,
  readSnapshot,
  systemHash,
  type SnapshotManifest,
  type SnapshotSummary,
} from '@grapevine/server'
import { CommandError } from './exit-code.ts'

/** What a checked snapshot is. */
export interface CheckedSnapshot {
  readonly manifest: SnapshotManifest
  readonly summary: SnapshotSummary
  readonly bytes: number
}

/**
 * Reads a snapshot to its end and checks all of it.
 * @param onProgress is called with what came since it was called last: entries, and bytes of the file.
 * @throws {CommandError} for what is damaged, cut off or no snapshot.
 */
export async function checkSnapshot(
  source: AsyncIterable<Uint8Array>,
  name: string,
  onProgress: (entries: number, bytes: number) => Promise<void>,
): Promise<CheckedSnapshot> {
  let bytes = 0
  let told = 0
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      bytes += chunk.length
      yield chunk
    }
  }
  let manifest: SnapshotManifest | undefined
  let summary: SnapshotSummary | undefined
  try {
    for await (const part of readSnapshot(counted(), systemHash)) {
      if (part.kind === 'manifest') manifest = part.manifest
      else if (part.kind === 'end') summary = part.end
      await onProgress(part.kind === 'entries' ? part.entries.length : 0, bytes - told)
      told = bytes
    }
  } catch (cause) {
    if (!(cause instanceof MalformedSnapshotError)) throw cause
    throw new CommandError(`${name}: ${cause.message}.`, { next: 'use another copy, or save a snapshot anew', cause })
  }
  // A snapshot without either is refused by its reader.
  if (manifest === undefined || summary === undefined) throw new Error('a snapshot was read that has no end')
  return { manifest, summary, bytes }
}
