import { resources, type SpiderIpBlock } from '../../api/index.ts'
import { InvalidInputError, systemClock } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { reservedOf } from '../../ledger/index.ts'
import { type ClusterPort, clusterFlags, type Env, withCluster } from '../cluster/access.ts'
import type { Command } from '../command.ts'
import { parseFlags, refuseMore } from '../flags.ts'
import { follow, watchFlag } from '../follow.ts'
import { printerOf } from '../ip/commands.ts'
import { listPools, listReservations, readable } from '../ip/read-address.ts'
import { formatOutput, outputFlag, outputFormat } from '../output.ts'
import { exitCodes } from '../run-cli.ts'
import { Gathering, type Records } from './pool-usage.ts'
import { type PoolView, poolLines, poolsLines, viewPool } from './pool-view.ts'

// A block with all its entries is some 25 KiB.
const blockPage = 50
const shownNames = 10

/** Commands about pools. */
export function poolCommands(cluster: ClusterPort, env: Env): readonly Command[] {
  return [showCommand(cluster, env)]
}

function showCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'pool show',
    usage: '[NAME] [FLAGS]',
    summary:
      'Count what a pool has: used, free, resting, kept; with NAME as ranges, and by namespace and node',
    flags: [outputFlag, watchFlag, ...clusterFlags],
    argument: 'pools' as const,
  }
  return {
    ...command,
    run: (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 1)
      const [name] = parsed.positionals
      const format = outputFormat(parsed)
      const isEndless = parsed.flags['watch'] === true
      return withCluster({ cluster, env, parsed, signal, isEndless }, async (api, deadline) => {
        const render = async (until: AbortSignal): Promise<string> => {
          const pools = await readPools(name, api, until)
          const [first] = pools
          const isOne = name !== undefined && first !== undefined
          const table = () => (isOne ? poolLines(first) : poolsLines(pools))
          return formatOutput(format, isOne ? first : { pools }, table).join('\n')
        }
        const kinds = [
          { resource: resources.ipBlock },
          { resource: resources.ipPool },
          { resource: resources.reservedIp },
        ]
        if (isEndless) await follow(api, kinds, { render, print: printerOf(terminal, format) }, deadline)
        else terminal.print(await render(deadline))
        return exitCodes.done
      })
    },
  }
}

/** @throws {InvalidInputError} when there is no pool of that name */
async function readPools(
  name: string | undefined,
  api: KubeApi,
  signal: AbortSignal,
): Promise<readonly PoolView[]> {
  const [pools, reservations] = await Promise.all([listPools(api, signal), listReservations(api, signal)])
  const wanted = name === undefined ? pools : pools.filter(({ metadata }) => metadata.name === name)
  if (wanted.length === 0 && name !== undefined)
    throw unknownPool(
      name,
      pools.map(({ metadata }) => metadata.name),
    )
  const nowMs = systemClock.nowMs()
  const records = await readRecords(nowMs, api, signal)
  const facts = { reserved: reservedOf(reservations), records, nowMs }
  return wanted.map((pool) => viewPool(pool, facts)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

function unknownPool(name: string, names: readonly string[]): InvalidInputError {
  const shown = names.slice(0, shownNames).join(', ')
  const more = names.length > shownNames ? `, and ${names.length - shownNames} more` : ''
  const hint = names.length === 0 ? 'there are none: create a SpiderIPPool' : `write one of ${shown}${more}`
  return new InvalidInputError('NAME', name, 'is no SpiderIPPool', hint)
}

/** What all blocks record, gathered page by page. */
export async function readRecords(
  nowMs: number,
  api: Pick<KubeApi, 'listAll'>,
  signal: AbortSignal,
): Promise<Records> {
  let gathering = new Gathering(nowMs)
  const seen = new Set<string>()
  const keep = (block: SpiderIpBlock): SpiderIpBlock => {
    const { name } = block.metadata
    // The list began again: what was gathered is of another version.
    if (seen.has(name)) {
      seen.clear()
      gathering = new Gathering(nowMs)
    }
    seen.add(name)
    const read = readable(block)
    if (read !== undefined) gathering.add(read)
    return { metadata: { name }, spec: { cidr: '', term: 0 } }
  }
  await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: blockPage, keep }, signal)
  return gathering.records()
}
