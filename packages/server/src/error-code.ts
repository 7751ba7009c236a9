/** The code of an error of Node, undici or LevelDB, as `ECONNREFUSED`. */
export function errorCodeOf(error: unknown): string | undefined {
  return fieldOf(error, 'code')
}

/** A text or number that an error carries, as text. */
export function fieldOf(error: unknown, name: 'code' | 'address' | 'hostname' | 'port'): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}
