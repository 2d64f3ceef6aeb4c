import { CniError } from './cni-error.ts'

/** The versions of the CNI specification that our plugins and our runner speak, oldest first. */
export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
/** One of {@link supportedVersions}. */
export type CniVersion = (typeof supportedVersions)[number]

/** Versions of which results are understood: the supported ones and the two older shapes. */
export const resultVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
/** One of {@link resultVersions}. */
export type ResultVersion = (typeof resultVersions)[number]

/** Whether `version` is one that our plugins and our runner speak. */
export function isSupported(version: string): version is CniVersion {
  return (supportedVersions as readonly string[]).includes(version)
}

/** Whether a result of `version` is understood. */
export function isResultVersion(version: string): version is ResultVersion {
  return (resultVersions as readonly string[]).includes(version)
}

/** Whether `version` is `least` or newer. */
export function isAtLeast(version: ResultVersion, least: ResultVersion): boolean {
  return resultVersions.indexOf(version) >= resultVersions.indexOf(least)
}

/**
 * The version as one that is supported.
 * @throws {CniError} code 1 naming the version wanted and those supported
 */
export function requireSupported(version: string, where: string): CniVersion {
  if (isSupported(version)) return version
  throw new CniError({
    cniCode: 1,
    slug: 'incompatible-version',
    message: `Cannot accept ${where} "${version}": supported are ${supportedVersions.join(', ')}`,
    hint: `set cniVersion to one of ${supportedVersions.join(', ')}`,
  })
}
