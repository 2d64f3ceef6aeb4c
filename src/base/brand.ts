declare const brand: unique symbol

/** A value that was parsed at the border: `Brand<string, 'PodUid'>` cannot be mixed up with a bare string. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
