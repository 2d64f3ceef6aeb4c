import { showValue } from '../../../../base/index.ts'
import { fromEntries, isObject, jsonEqual, ownValue, stringAt, withKey } from '../record.ts'
import { PatchError } from './patch-error.ts'

const maxOperations = 10_000

/**
 * Applies RFC 6902, operation by operation; nothing is kept when one fails.
 * @throws {PatchError} 400 for a malformed patch, 422 for one that does not fit the document or whose test fails
 */
export function jsonPatch(base: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch))
    throw new PatchError(400, `Cannot read JSON patch ${showValue(patch)}: it is not a list`, hints.shape)
  if (patch.length > maxOperations) {
    throw new PatchError(
      400,
      `Cannot apply JSON patch: it has over ${maxOperations} operations`,
      'Send fewer operations',
    )
  }
  const operations: readonly unknown[] = patch
  return operations.reduce((document, operation, index) => applyOperation(document, operation, index), base)
}

const hints = {
  shape: 'Send a list of operations {op, path, value or from}',
  path: 'Read the object again: paths must lead to what is there now',
}

function applyOperation(document: unknown, operation: unknown, index: number): unknown {
  if (!isObject(operation)) {
    throw new PatchError(
      400,
      `Cannot read operation ${index} of the JSON patch: it is not an object`,
      hints.shape,
    )
  }
  const op = stringAt(operation, 'op')
  const at: Place = { index, path: stringAt(operation, 'path') ?? missing(index, 'path') }
  const value = (): unknown =>
    Object.hasOwn(operation, 'value') ? operation['value'] : missing(index, 'value')
  const from = (): Place => ({ index, path: stringAt(operation, 'from') ?? missing(index, 'from') })
  switch (op) {
    case 'add':
      return add(document, at, value())
    case 'remove':
      return remove(document, at)
    case 'replace':
      return replace(document, at, value())
    case 'test':
      return test(document, at, value())
    case 'copy':
      return add(document, at, structuredClone(get(document, from())))
    case 'move': {
      const source = from()
      if (at.path.startsWith(`${source.path}/`)) unfit(at, 'cannot be inside the value that is moved')
      return add(remove(document, source), at, get(document, source))
    }
    default:
      throw new PatchError(
        400,
        `Cannot read operation ${index} of the JSON patch: unknown op ${showValue(op)}`,
        hints.shape,
      )
  }
}

interface Place {
  readonly index: number
  readonly path: string
}

function missing(index: number, key: string): never {
  throw new PatchError(
    400,
    `Cannot read operation ${index} of the JSON patch: ${key} is missing`,
    hints.shape,
  )
}

function unfit({ index, path }: Place, problem: string): never {
  throw new PatchError(
    422,
    `Cannot apply operation ${index} of the JSON patch: path ${showValue(path)} ${problem}`,
    hints.path,
  )
}

// RFC 6901
function steps(place: Place): readonly string[] {
  if (place.path === '') return []
  if (!place.path.startsWith('/')) unfit(place, 'does not begin with /')
  return place.path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function get(document: unknown, place: Place): unknown {
  return steps(place).reduce((value, step) => child(value, step, place), document)
}

function child(value: unknown, step: string, place: Place): unknown {
  if (Array.isArray(value)) return value[position(step, value.length - 1, place)]
  if (isObject(value) && Object.hasOwn(value, step)) return ownValue(value, step)
  return unfit(place, 'does not exist')
}

function position(step: string, last: number, place: Place): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(step))
    unfit(place, `has ${showValue(step)} where an index of a list is wanted`)
  const index = Number(step)
  return index > last ? unfit(place, 'is beyond the end of the list') : index
}

/** Rebuilds the way to the parent of the last step, which `change` replaces. */
function edit(document: unknown, place: Place, change: (parent: unknown, step: string) => unknown): unknown {
  const go = (value: unknown, rest: readonly string[]): unknown => {
    const [step = '', ...more] = rest
    if (more.length === 0) return change(value, step)
    const changed = go(child(value, step, place), more)
    if (Array.isArray(value)) return value.with(Number(step), changed)
    return isObject(value) ? withKey(value, step, changed) : unfit(place, 'does not exist')
  }
  return go(document, steps(place))
}

function add(document: unknown, place: Place, value: unknown): unknown {
  if (place.path === '') return value
  return edit(document, place, (parent, step) => {
    if (Array.isArray(parent)) {
      const index = step === '-' ? parent.length : position(step, parent.length, place)
      return parent.toSpliced(index, 0, value)
    }
    if (!isObject(parent)) return unfit(place, 'has a parent that is neither object nor list')
    return fromEntries([...Object.entries(parent).filter(([key]) => key !== step), [step, value]])
  })
}

function remove(document: unknown, place: Place): unknown {
  if (place.path === '') return unfit(place, 'is the whole document, which cannot be removed')
  return edit(document, place, (parent, step) => {
    child(parent, step, place)
    if (Array.isArray(parent)) return parent.toSpliced(Number(step), 1)
    return isObject(parent) ? withKey(parent, step, undefined) : unfit(place, 'does not exist')
  })
}

function replace(document: unknown, place: Place, value: unknown): unknown {
  if (place.path === '') return value
  return edit(document, place, (parent, step) => {
    child(parent, step, place)
    if (Array.isArray(parent)) return parent.with(Number(step), value)
    return isObject(parent) ? withKey(parent, step, value) : unfit(place, 'does not exist')
  })
}

function test(document: unknown, place: Place, wanted: unknown): unknown {
  const found = get(document, place)
  if (jsonEqual(found, wanted)) return document
  throw new PatchError(
    422,
    `Cannot apply operation ${place.index} of the JSON patch: testing value ${place.path} failed: found ${showValue(found)}`,
    hints.path,
  )
}
