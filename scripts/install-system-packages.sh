#!/bin/sh
# Install the Debian packages listed in a file, if any of them is missing. OpenCV needs libGL and GLib at import.
set -eu
packages=$(cat "$1")
command -v dpkg-query >/dev/null 2>&1 || { echo "not Debian: make sure the equivalents of $packages are installed"; exit 0; }
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "run this as root: apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
