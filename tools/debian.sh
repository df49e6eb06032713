#!/bin/sh
# Unpack the Debian package $1 into the folder $2 without installing it; nothing happens where $2 is there already.
set -eu
package=$1 folder=$2
[ -d "$folder" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo "$package comes from Debian and this system has no apt-get" >&2
    exit 2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
cd "$scratch"
if ! apt-get download "$package" >log 2>&1; then # no list of packages yet: fetch one of our own, which needs no root
    mkdir -p lists/partial cache/archives/partial
    private="-o Dir::State::Lists=$scratch/lists -o Dir::Cache=$scratch/cache -o APT::Sandbox::User=$(id -un)"
    # shellcheck disable=SC2086
    apt-get $private update >>log 2>&1 && apt-get $private download "$package" >>log 2>&1 || {
        echo "cannot download the Debian package $package:" >&2
        tail -n 3 log >&2
        exit 3
    }
fi
dpkg -x ./*.deb unpacked
cd "$OLDPWD"
mkdir -p "$(dirname "$folder")"
mv "$scratch/unpacked" "$folder"
