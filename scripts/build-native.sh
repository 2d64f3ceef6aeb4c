#!/bin/sh
# Builds each native/*.c into a folder (build/native), static and small. Needs only a C compiler ($CC).
# Usage: build-native.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/native}
mkdir -p "$folder"
for source in native/*.c; do
  [ -e "$source" ] || continue
  target="$folder/$(basename "$source" .c)"
  if [ ! -e "$target" ] || [ "$source" -nt "$target" ]; then
    "${CC:-cc}" -Os -static -s -Wall -Wextra -Werror -o "$target.$$.new" "$source"
    mv -f "$target.$$.new" "$target"
  fi
done
