export {
  openOutbox,
  type Outbox,
  type OutboxBucket,
  type OutboxDeleteOptions,
  type OutboxOptions,
  type OutboxPutOptions,
  type OutboxStatus,
  type RefusedWrite,
} from './outbox/outbox.ts'
export type { OutboxDatabase } from './outbox/pending-writes.ts'
