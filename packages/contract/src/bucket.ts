/** `GET`, `PUT /v1/buckets/{bucket}`: what holds for all writes to a bucket that do not say otherwise. */
export interface BucketPolicyBody {
  /** How long its values live: a duration, `30m`. Null, or not there, for ever. */
  readonly ttl?: string | null
}
