// How LevelDB is to be sized for the disk that it is on: its write buffer, and what that and its compactions need free.

const MIB = 1024 * 1024
const WRITE_BUFFER_BYTES = 32 * MIB
/** A value of the greatest size, which is 1 MiB unless it was raised, fits into it. */
export const WRITE_BUFFER_BYTES_MIN: number = MIB
/** So that what is being written, and the reserve, leave a small disk some room for data. */
const WRITE_BUFFERS_PER_DISK = 64
/**
 * How many write buffers belong into the reserve: the log that is being filled and the one whose buffer is being
 * written (2), that buffer's table (1), and a compaction, which writes four such tables and what they overlap anew before
 * it drops the old ones (5).
 */
const RESERVED_WRITE_BUFFERS = 8
/**
 * LevelDB's own sizes do not shrink with the buffer: a compaction writes one table of 2 MiB and the dozen that it overlaps
 * one level down anew, or the four fresh tables and all 10 MiB of level one.
 */
const COMPACTION_BYTES = 26 * MIB

/** The size of LevelDB's write buffer where nobody has said one: 32 MiB, and less on a small disk. */
export function writeBufferBytesFor(diskBytes: number): number {
  return Math.max(WRITE_BUFFER_BYTES_MIN, Math.min(WRITE_BUFFER_BYTES, Math.floor(diskBytes / WRITE_BUFFERS_PER_DISK)))
}

/** What is to be left free where nobody has said how much. */
export function reserveBytesFor(writeBufferBytes: number): number {
  return Math.max(RESERVED_WRITE_BUFFERS * writeBufferBytes, COMPACTION_BYTES)
}
