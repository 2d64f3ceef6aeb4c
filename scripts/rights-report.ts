// `npm run rights:report -- FILES...`: which rights of our ServiceAccounts the requests in audit logs used (build/audit/*.log, which
// `npm run test:kube` writes). Fails on a right that nobody used, and on a request that was not allowed.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { reportRights } from './rights/report.ts'

const root = dirname(import.meta.dirname)
const given = process.argv.slice(2)
const files =
  given.length > 0 ? given : globSync('build/audit/*.log', { cwd: root }).map((file) => join(root, file))
const missing = files.filter((file) => !existsSync(file))
if (files.length === 0 || missing.length > 0) {
  const what = files.length === 0 ? 'no audit log in build/audit' : `no file ${missing.join(', ')}`
  process.stderr.write(`rights: ${what}: run "npm run test:kube" first\n`)
  process.exit(2)
}

function* linesOf(paths: readonly string[]): Generator<string> {
  for (const path of paths) yield* readFileSync(path, 'utf8').split('\n')
}

const { grants, requests, forbidden, tooEarly, unexplained } = reportRights(linesOf(files))
for (const account of new Set(grants.map((grant) => grant.account))) {
  console.log(account)
  const own = grants.filter((grant) => grant.account === account)
  for (const resource of new Set(own.map((grant) => grant.resource))) {
    const uses = own
      .filter((grant) => grant.resource === resource)
      .map(({ verb, count }) => `${verb} ${count}`)
    console.log(`  ${resource.padEnd(58)} ${uses.join(', ')}`)
  }
}
const unused = grants.filter(({ count }) => count === 0)
for (const { account, verb, resource } of unused)
  console.log(`never used: ${account} may ${verb} ${resource}`)
for (const text of forbidden) console.log(`forbidden: ${text}`)
for (const text of unexplained) console.log(`allowed, but by no rule of ours: ${text}`)
if (tooEarly > 0)
  console.log(`refused while an API server was starting, though granted: ${tooEarly} requests`)
const problems = unused.length + forbidden.length + unexplained.length
console.log(`${requests} requests, ${grants.length} rights, ${problems} problems`)
process.exitCode = problems === 0 ? 0 : 1
