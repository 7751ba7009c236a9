import { describe, expect, it } from 'vitest'
import { agoText, bytesText, countText, plural, spanText } from '../src/output/numbers.ts'
import { tableLines, visible } from '../src/output/table.ts'
import { styleFor } from '../src/output/style.ts'
import { FakeOutput, FakeShell } from './fake-shell.ts'

describe('numbers', () => {
  it('are grouped, rounded and have units', () => {
    expect([0, 999, 1_000, 1_234_567].map(countText)).toEqual(['0', '999', '1 000', '1 234 567'])
    expect([0, 999, 1_000, 48_200_000, 999_999].map(bytesText)).toEqual(['0 B', '999 B', '1.0 kB', '48.2 MB', '1.0 MB'])
    expect([5, 4_000, 119_000, 600_000, 36_000_000, 864_000_000].map(spanText)).toEqual([
      '5 ms',
      '4 s',
      '119 s',
      '10 min',
      '10 h',
      '10 d',
    ])
    expect([agoText(null), agoText(58_000), countText(null), bytesText(undefined)]).toEqual([
      'never',
      '58 s ago',
      '?',
      '?',
    ])
    expect([plural(1, 'key'), plural(2, 'key'), plural(0, 'key')]).toEqual(['1 key', '2 keys', '0 keys'])
  })
})

describe('a table', () => {
  const plain = styleFor(new FakeOutput(false), new FakeShell())

  it('has columns as wide as what stands in them', () => {
    const columns = [
      { title: 'NAME', text: ({ name }: { name: string }) => name },
      { title: 'N', text: ({ name }: { name: string }) => String(name.length), align: 'right' as const },
    ]
    const rows = [{ name: 'a' }, { name: 'e\u0301clair' }, { name: 'long-name' }]
    expect(tableLines(columns, rows, plain)).toBe(
      ['NAME       N', 'a          1', 'e\u0301clair     7', 'long-name  9', ''].join('\n'),
    )
    expect(tableLines(columns, [], plain)).toBe('NAME  N\n')
  })

  it('shows what a terminal would obey', () => {
    expect(visible('a\u001b[2J\n\u0085\u2028é')).toBe('a\\u001b[2J\\u000a\\u0085\\u2028é')
  })
})
