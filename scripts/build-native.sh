#!/bin/sh
# Builds each native/*.c into build/native/NAME, static and small. Needs only a C compiler.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/native
for source in native/*.c; do
  [ -e "$source" ] || continue
  target="build/native/$(basename "$source" .c)"
  if [ ! -e "$target" ] || [ "$source" -nt "$target" ]; then
    "${CC:-cc}" -Os -static -s -Wall -Wextra -Werror -o "$target.$$.new" "$source"
    mv -f "$target.$$.new" "$target"
  fi
done
