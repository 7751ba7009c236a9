import type { Child } from '../harness/child.ts'

/** A server under load, ready and empty when it is handed over. */
export interface Subject extends AsyncDisposable {
  readonly name: string
  /** On loopback. */
  readonly port: number
  readonly child: Child
}

/** Why a subject is not measured here. */
export class UnavailableError extends Error {}
