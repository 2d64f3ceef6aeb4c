/** Longest interface name: IFNAMSIZ of linux/if.h without its NUL. */
const maxNicNameBytes = 15
const nicNamePattern = /^[^\s/:]+$/

/** What is wrong with an interface name, or undefined (dev_valid_name() of the kernel). */
export function nicNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (Buffer.byteLength(name) > maxNicNameBytes) return `is longer than ${maxNicNameBytes} bytes`
  if (name === '.' || name === '..' || !nicNamePattern.test(name))
    return 'holds a character that is not allowed'
  return undefined
}
