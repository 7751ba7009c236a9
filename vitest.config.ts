import { defineConfig } from 'vitest/config'

const source = {
  resolve: { conditions: ['@grapevine/source'] },
  ssr: { resolve: { conditions: ['@grapevine/source'] } },
}

/** Real processes run what was built. */
const globalSetup = ['test/support/build.ts']

export default defineConfig({
  test: {
    projects: [
      // Longer than the usual five seconds: on a busy machine everything takes longer.
      { ...source, test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], testTimeout: 30_000 } },
      // One file, in order: the last test tells what the others have found.
      { ...source, test: { name: 'model', include: ['test/model/**/*.test.ts'], testTimeout: 600_000 } },
      {
        ...source,
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          globalSetup,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        ...source,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          globalSetup,
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        ...source,
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          globalSetup,
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        ...source,
        test: {
          name: 'examples',
          include: ['test/{browser,examples,packages,reference}/**/*.test.ts'],
          globalSetup,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...source,
        test: {
          name: 'containers',
          include: ['test/containers/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
