#!/bin/sh
# Takes this checkout to a machine with a GPU that has neither Node.js nor a network, and runs `bench -- device-gpu` there.
#
#   bench/gpu-machine.sh pack         here: dist/gpu-machine.tar.xz with Node.js, what is built and what it needs (about 50 MB)
#   bench/gpu-machine.sh run [FOLDER] there, with that file in dist/: unpacks, runs, copies the results into FOLDER
#
# More arguments of `run` behind the folder go to the bench. PYTHON names a Python with NumPy, whose CUDA packages are found too.
set -eu
cd "$(dirname "$0")/.."
archive=dist/gpu-machine.tar.xz

pack() {
  npm run --silent build
  cp "$(command -v node)" dist/node
  strip dist/node 2>/dev/null || echo 'gpu-machine: no strip; the archive is larger' >&2
  # Compilers, linters and browsers stay here.
  tar c --exclude='*.map' --exclude='*.d.ts' --exclude='*.d.cts' --exclude='*.d.mts' --exclude='*.tsbuildinfo' \
    --exclude='dist/gpu-machine*' --exclude='node_modules/.cache' --exclude='node_modules/.bin' \
    --exclude='node_modules/@biomejs' --exclude='node_modules/@typescript' --exclude='node_modules/typescript' \
    --exclude='node_modules/@esbuild' --exclude='node_modules/esbuild' --exclude='node_modules/playwright-core' \
    --exclude='node_modules/@types' --exclude='*.md' \
    dist node_modules package.json | xz -T0 -6 >"$archive.new"
  mv "$archive.new" "$archive"
  rm dist/node
  ls -l "$archive"
}

run() {
  folder=${1:-gpu-results}
  [ $# -eq 0 ] || shift
  python=${PYTHON:-$(command -v python3)}
  "$python" -c "import tarfile; tarfile.open('$archive').extractall('.')"
  # The rivals' Python, as `bench/paths.ts` looks for it.
  BASELINES_HOME=${BASELINES_HOME:-$(mktemp -d)}
  mkdir -p "$BASELINES_HOME/venv/bin" "$folder"
  [ -e "$BASELINES_HOME/venv/bin/python" ] || {
    printf '#!/bin/sh\nexec %s "$@"\n' "$python" >"$BASELINES_HOME/venv/bin/python"
    chmod +x "$BASELINES_HOME/venv/bin/python"
  }
  VIRTUAL_ENV=${VIRTUAL_ENV:-$("$python" -c 'import sys; print(sys.prefix)')}
  REPRISE_HOME=${REPRISE_HOME:-$(mktemp -d)}
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/local/nvidia/lib64:/usr/local/nvidia/lib
  PATH="$PWD/dist:$PATH"
  export BASELINES_HOME VIRTUAL_ENV REPRISE_HOME LD_LIBRARY_PATH PATH
  nvidia-smi 2>/dev/null || true
  dist/node dist/jobs/cli/main.js doctor 2>&1 | grep -iE 'opencl|cuda' || true
  code=0
  dist/node dist/bench/main.js device-gpu "$@" || code=$?
  cp bench/results/device-*.json "$folder"
  exit $code
}

case ${1:-} in
pack) pack ;;
run) shift && run "$@" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
