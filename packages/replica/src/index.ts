export type { QuestionHeader } from '@grapevine/core'
export { isUnfinished, type SnapshotSource } from './adopt-snapshot.ts'
export * from './fatal-error.ts'
export type { UndecidedKey } from './leaf-mender.ts'
export type { ImportFate } from './import-entries.ts'
export { FailureDetector, PROBE_DEFAULTS } from './membership/failure-detector.ts'
export { LeaveError, type Departure, type LeaveErrorCode } from './leave.ts'
export type { MembershipEvent } from './membership/membership-event.ts'
export * from './replica.ts'
export * from './replica-options.ts'
export * from './running-replica.ts'
export type { ScrubProgress, ScrubReport } from './scrubber.ts'
export * from './settings.ts'
export type {
  FrontierWait,
  KeyEnd,
  MemberAcknowledgement,
  TombstoneExplanation,
  TombstoneReport,
  TombstonesOnMember,
} from './tombstone-reports.ts'
export type { SnapshotMoment } from './snapshot-moment.ts'
export { WATCHERS_MAX, type Watch, type WatchItem, type WatchRequest } from './watch/watch.ts'
export type { Visibility } from './visibility.ts'
