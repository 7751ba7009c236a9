import type { Hash } from '@grapevine/core'
import { hash } from 'node:crypto'

export const sha256: Hash = { sha256: (bytes) => hash('sha256', bytes, 'binary') }
