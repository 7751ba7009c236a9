// Looks for all planted bugs, or for those whose names contain what is given.
import { PLANTED_BUGS } from './bugs.ts'
import { findAll } from './find.ts'

const [text = ''] = process.argv.slice(2)
await findAll(
  PLANTED_BUGS.filter(({ name }) => name.includes(text)),
  ({ name }, { seed, checker, message = '', others }) => {
    console.log(`${seed === undefined ? 'NOT FOUND' : `seed ${seed}`}: ${name}`)
    console.log(
      `    ${checker ?? '-'}: ${message.slice(0, 200)}${others.length > 0 ? ` (also ${others.join(', ')})` : ''}`,
    )
  },
)
