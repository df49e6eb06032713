#!/bin/sh
# Unpack the Debian packages $1 (a name, or several in one word) and what they need beyond what is installed into the folder $2, without
# installing them; nothing happens where $2 is there already.
set -eu
packages=$1 folder=$2
[ -d "$folder" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo "$packages comes from Debian and this system has no apt-get" >&2
    exit 2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
cd "$scratch"
# shellcheck disable=SC2086
fetch() {
    needed=$(apt-get "$@" --simulate install --no-install-recommends $packages 2>>log | awk '/^Inst/ {print $2}')
    apt-get "$@" download $(printf '%s\n' $packages $needed | sort -u) >>log 2>&1
}
if ! fetch; then # no list of packages yet, or an old one: fetch one of our own, which needs no root
    mkdir -p lists/partial cache/archives/partial
    set -- -o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o "APT::Sandbox::User=$(id -un)"
    apt-get "$@" update >>log 2>&1 && fetch "$@" || {
        echo "cannot download the Debian packages $packages:" >&2
        tail -n 3 log >&2
        exit 3
    }
fi
for file in ./*.deb; do
    dpkg -x "$file" unpacked
done
cd "$OLDPWD"
mkdir -p "$(dirname "$folder")"
mv "$scratch/unpacked" "$folder"
