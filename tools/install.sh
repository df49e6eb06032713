#!/bin/sh
# Fill the virtual environment $1 with MuseTune, its extras and the judges, at the versions of constraints.txt. JUDGES=no leaves the judges out.
set -eu
venv=$1
pip="$venv/bin/python -m pip --disable-pip-version-check"
export PIP_CONSTRAINT="$PWD/constraints.txt"

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "MuseTune needs Python 3.11 or newer; say make PYTHON=python3.11" >&2; exit 1; }
# torch first and by its exact version, so that no other package's range chooses a larger build
$pip install --quiet torch==2.13.0
$pip install --quiet "setuptools<81" wheel numpy cython
extras=train,ui,dev
[ "${JUDGES:-yes}" = no ] || extras=$extras,judge
$pip install --quiet --editable ".[$extras]"
# tinysoundfont asks for pyaudio, which only playback needs and which does not build without portaudio
$pip install --quiet --no-deps tinysoundfont
if [ "${JUDGES:-yes}" = no ]; then
    touch "$venv/.installed"
    exit 0
fi
# basic-pitch asks for TensorFlow and ADTLib for fpdf, which neither needs here: one runs on onnxruntime, the other's weights are read
$pip install --quiet --no-deps basic-pitch
$pip install --quiet --no-deps --no-build-isolation adtlib
# these three compile against the numpy that is installed and do not say so
$pip install --quiet --no-deps --no-build-isolation vamp chord-extractor madmom
touch "$venv/.installed"
