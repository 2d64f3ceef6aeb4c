import { execFile } from 'node:child_process'
import { dirname, resolve } from 'node:path'
import { InvalidInputError, OperationError, parseJson, type Retry } from '../../base/index.ts'
import { isRecord, optionalText, requireRecord, requireText } from '../untyped.ts'

/** What an exec credential plugin answered (client.authentication.k8s.io, ExecCredential `status`). */
export interface ExecCredential {
  readonly token?: string
  readonly cert?: string
  readonly key?: string
  /** Milliseconds since the epoch; absent when it does not end. */
  readonly expiresAtMs?: number
}

/** The plugin named in the kubeconfig could not give credentials. */
export class ExecCredentialError extends OperationError {
  override readonly code = 'EXEC_CREDENTIAL'
  override readonly retry: Retry = 'later'
}

interface ExecPlan {
  readonly apiVersion: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly installHint: string
  readonly cluster?: unknown
}

const execBudgetMs = 30_000
const maxOutputBytes = 1024 * 1024
const renewBeforeMs = 60_000
// A server that refuses every token must not make us start a process for each call.
const minRunGapMs = 5000
const apiVersions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']

/** Runs one exec credential plugin and keeps its answer until shortly before it expires. */
export class ExecPlugin {
  readonly #plan: ExecPlan
  readonly planKey: string
  #kept: ExecCredential | undefined
  #renewAtMs = Infinity
  #repeatedAtMs = 0

  /**
   * @param raw `users[].user.exec` of a kubeconfig
   * @param kubeconfigPath relative commands are relative to its folder
   */
  constructor(raw: unknown, kubeconfigPath: string, cluster: unknown) {
    this.#plan = planOf(raw, kubeconfigPath, cluster)
    this.planKey = JSON.stringify(this.#plan)
  }

  /** @param fresh run it again even if the last answer has not expired */
  async credential(fresh: boolean, signal: AbortSignal): Promise<ExecCredential> {
    const now = Date.now()
    const kept = this.#kept
    if (kept !== undefined && now < (kept.expiresAtMs ?? Infinity)) {
      const isEnding = now >= this.#renewAtMs
      if (!isEnding && !fresh) return kept
      if (now - this.#repeatedAtMs < minRunGapMs) return kept
      this.#repeatedAtMs = now
    }
    const answer = readCredential(await run(this.#plan, signal), this.#plan)
    this.#kept = answer
    this.#renewAtMs = renewTimeMs(answer)
    return answer
  }
}

/** When to run the plugin again: a minute before the end, or at half time of one that lives shorter. */
export function renewTimeMs(credential: ExecCredential, nowMs: number = Date.now()): number {
  if (credential.expiresAtMs === undefined) return Infinity
  const remaining = credential.expiresAtMs - nowMs
  return credential.expiresAtMs - Math.max(0, Math.min(renewBeforeMs, remaining / 2))
}

function planOf(raw: unknown, kubeconfigPath: string, cluster: unknown): ExecPlan {
  const field = 'users[].user.exec'
  const exec = requireRecord(raw, field)
  const apiVersion = requireText(exec['apiVersion'], `${field}.apiVersion`)
  if (!apiVersions.includes(apiVersion)) {
    throw new InvalidInputError(
      `${field}.apiVersion`,
      apiVersion,
      'is not supported',
      `use ${apiVersions[0]}`,
    )
  }
  if (exec['interactiveMode'] === 'Always') {
    const hint = 'use a plugin that works without a terminal'
    throw new InvalidInputError(`${field}.interactiveMode`, 'Always', 'needs a terminal', hint)
  }
  const command = requireText(exec['command'], `${field}.command`)
  return {
    apiVersion,
    command: command.includes('/') ? resolve(dirname(kubeconfigPath), command) : command,
    args: listOf(exec['args'], `${field}.args`).map((arg, i) => requireText(arg, `${field}.args[${i}]`)),
    env: Object.fromEntries(
      listOf(exec['env'], `${field}.env`).map((entry, i) => {
        const pair = requireRecord(entry, `${field}.env[${i}]`)
        return [
          requireText(pair['name'], `${field}.env[${i}].name`),
          optionalText(pair['value'], `${field}.env[${i}].value`) ?? '',
        ]
      }),
    ),
    installHint:
      optionalText(exec['installHint'], `${field}.installHint`) ?? 'install the plugin, or use another user',
    ...(exec['provideClusterInfo'] === true ? { cluster } : {}),
  }
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new InvalidInputError(field, value, 'is not a list', 'write a list')
  return value
}

function run(plan: ExecPlan, signal: AbortSignal): Promise<string> {
  const info = {
    apiVersion: plan.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plan.cluster === undefined ? {} : { cluster: plan.cluster }) },
  }
  const options = {
    env: { ...process.env, ...plan.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    timeout: execBudgetMs,
    maxBuffer: maxOutputBytes,
    killSignal: 'SIGKILL',
    signal,
  } as const
  return new Promise((resolveText, reject) => {
    execFile(plan.command, plan.args, options, (error, stdout, stderr) => {
      if (error === null) return resolveText(stdout)
      const state = stderr.trim() === '' ? error.message : stderr.trim().slice(0, 500)
      const message = `Cannot get credentials from plugin "${plan.command}": ${state}`
      return reject(new ExecCredentialError(message, plan.installHint, { cause: error }))
    })
  })
}

function readCredential(text: string, plan: ExecPlan): ExecCredential {
  try {
    const answer = requireRecord(parseJson(text), 'ExecCredential')
    const status = requireRecord(answer['status'], 'status')
    const token = optionalText(status['token'], 'status.token')
    const cert = optionalText(status['clientCertificateData'], 'status.clientCertificateData')
    const key = optionalText(status['clientKeyData'], 'status.clientKeyData')
    const end = optionalText(status['expirationTimestamp'], 'status.expirationTimestamp')
    const expiresAtMs = end === undefined ? undefined : Date.parse(end)
    if (token === undefined && (cert === undefined || key === undefined)) {
      const problem = 'has neither a token nor a certificate with its key'
      throw new InvalidInputError(
        'status',
        isRecord(status) ? Object.keys(status) : status,
        problem,
        'mend the plugin',
      )
    }
    if (expiresAtMs !== undefined && Number.isNaN(expiresAtMs)) {
      throw new InvalidInputError(
        'status.expirationTimestamp',
        end,
        'is not a time',
        'write it as in RFC 3339',
      )
    }
    return {
      ...(token === undefined ? {} : { token }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    }
  } catch (cause) {
    const state = cause instanceof Error ? cause.message : 'unknown'
    const message = `Cannot read the answer of credential plugin "${plan.command}": ${state}`
    throw new ExecCredentialError(message, 'the plugin must print an ExecCredential object as JSON', {
      cause,
    })
  }
}
