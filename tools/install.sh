#!/bin/sh
# Fill the virtual environment $1 with MuseTune, its extras and the judges, at the versions of constraints.txt. JUDGES=no leaves the judges out.
# Each step says what it installs and how far it is; where one fails, the end of pip's output is shown.
set -eu
venv=$1
judges=${JUDGES:-yes}
export PIP_CONSTRAINT="$PWD/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
steps=5 extras=train,quantization,export,ui,serve,otel,ray,docs,dev
[ "$judges" = no ] || { steps=7 extras=$extras,judge; }
log=$(mktemp) step=0 began=$(date +%s) pid=
trap 'rm -f "$log"' EXIT
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; exit 130' INT TERM # a shell's background commands ignore Ctrl+C

packages() {
    set -- "$venv"/lib/python*/site-packages/*.dist-info
    [ -e "$1" ] && echo $# || echo 0
}

# where pip is: the package that it looks for or downloads, with its size, or how many of the packages are installed
state() {
    line=$(grep -E '^ *(Collecting|Downloading|Building|Installing|Obtaining|Getting|Preparing)' "$log" | tail -n 1 | sed 's/^ *//')
    case $line in
    "Installing collected"*) echo "unpacked $(($(packages) - before)) of $(echo "$line" | tr ',' '\n' | wc -l) packages" ;;
    Downloading*) echo "package $(grep -c '^Collecting' "$log"): downloading $(echo "$line" | sed 's/^Downloading //; s|.*/||; s/-[^ ]*\.whl//; s/\.metadata//')" ;;
    Collecting*) echo "package $(grep -c ^Collecting "$log"): looking for $(echo "$line" | sed "s/^Collecting //; s/[^A-Za-z0-9_.-].*//")" ;;
    "") echo starting ;;
    *) echo "$line" | cut -c1-80 ;;
    esac
}

# say $1, run the rest, and show once a second (where nobody looks, every fifteen seconds) where it is
run() {
    step=$((step + 1)) before=$(packages) start=$(date +%s) shown=0
    echo "[$step/$steps] $1"
    shift
    "$@" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        seconds=$(($(date +%s) - start))
        if [ -t 1 ]; then
            printf '\r\033[K      %d s: %s' "$seconds" "$(state)"
        elif [ $((seconds - shown)) -ge 15 ]; then
            shown=$seconds
            echo "      $seconds s: $(state)"
        fi
    done
    [ ! -t 1 ] || printf '\r\033[K'
    wait "$pid" || {
        echo "step $step of $steps failed; the last lines of its output:" >&2
        tail -n 30 "$log" >&2
        exit 1
    }
    pid=
}

install() {
    "$venv/bin/python" -m pip install --progress-bar off "$@"
}

echo "MuseTune installs into the folder $venv: 2.1 GB for MuseTune and PyTorch, 1.4 GB for page, Ray, engines, tests, documentation and judges."
if [ -x "$venv/bin/python" ]; then
    run "virtual environment: it is there" true
else
    run "virtual environment" "${PYTHON:-python3}" -m venv "$venv"
fi
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "MuseTune needs Python 3.11 or newer; say make PYTHON=python3.11" >&2; exit 1; }
# torch first and by its exact version, so that no other package's range chooses a larger build
run "PyTorch, the largest part" install torch==2.13.0
run "what the judges compile with" install "setuptools<81" wheel numpy cython
run "MuseTune and what it needs: some 210 packages" install --editable ".[$extras]"
# tinysoundfont asks for pyaudio, which only playback needs and which does not build without portaudio
run "the player of MIDI files" install --no-deps tinysoundfont
if [ "$judges" != no ]; then
    # basic-pitch asks for TensorFlow and ADTLib for fpdf, which neither needs here: one runs on onnxruntime, the other's weights are read
    run "judges: basic-pitch and ADTLib" install --no-deps --no-build-isolation basic-pitch adtlib
    # these three compile against the numpy that is installed and do not say so
    run "judges: Chordino and madmom, which are compiled" install --no-deps --no-build-isolation vamp chord-extractor madmom
fi
touch "$venv/.installed"
echo "installed in $(($(date +%s) - began)) s; $venv takes $(du -sm "$venv" | cut -f1) MB"
