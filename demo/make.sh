#!/usr/bin/env bash
# Makes demo/evidence again: installs pinned tools into a folder of its own, runs them on demo/programs, normalises
# what they print (see normalise) and writes the manifest. Needs cargo with nextest and clippy, Python 3.11, Node.js 20.
#
#   demo/make.sh                      everything, in a temporary folder that is removed at the end
#   DEMO_TOOLS=DIR demo/make.sh       the same, with the tools kept in DIR for the next run
set -euo pipefail
export LC_ALL=C.UTF-8 CI=true NO_COLOR=1 RUST_BACKTRACE=0

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tools=${DEMO_TOOLS:-$scratch/tools}
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)

# --- tools ---------------------------------------------------------------------------------------------------------

PYTEST=9.2.0 PYTEST_COV=7.1.0 COVERAGE=7.17.3 BANDIT=1.9.4 SEMGREP=1.180.0 CYCLONEDX_PY=7.5.0 RUFF=0.17.6
JEST=30.5.2 JEST_JUNIT=17.0.0 ESLINT=9.39.5 ESLINT_SECURITY=4.1.0 ESLINT_SARIF=3.1.0 CYCLONEDX_NPM=6.0.1
RETIRE=5.7.0 RETIRE_DATA=0.32.0 SECRETLINT=13.0.5
CLIPPY_SARIF=0.8.0 CARGO_CYCLONEDX=0.5.9
NEXTEST=$(cargo nextest --version | awk 'NR == 1 { print $2 }')
CLIPPY=$(cargo clippy --version | awk '{ print $2 }')

[ -x "$tools/python/bin/semgrep" ] || {
  python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet "pytest==$PYTEST" "pytest-cov==$PYTEST_COV" "coverage==$COVERAGE" "bandit[sarif]==$BANDIT" \
    "semgrep==$SEMGREP" "cyclonedx-bom==$CYCLONEDX_PY" "ruff==$RUFF" PyYAML==6.0.3 itsdangerous==2.2.0
}
[ -d "$tools/npm/node_modules" ] || {
  mkdir -p "$tools/npm"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools/npm" "jest@$JEST" "jest-junit@$JEST_JUNIT" \
    "eslint@$ESLINT" "eslint-plugin-security@$ESLINT_SECURITY" "@microsoft/eslint-formatter-sarif@$ESLINT_SARIF" \
    "@cyclonedx/cyclonedx-npm@$CYCLONEDX_NPM" "retire@$RETIRE" "@salesforce/code-analyzer-retirejs-engine@$RETIRE_DATA" \
    "secretlint@$SECRETLINT" "@secretlint/secretlint-rule-preset-recommend@$SECRETLINT" \
    "@secretlint/secretlint-formatter-sarif@$SECRETLINT"
}
export CARGO_TARGET_DIR=$scratch/target
[ -x "$tools/cargo/bin/cargo-cyclonedx" ] ||
  cargo install --quiet --locked --root "$tools/cargo" "clippy-sarif@$CLIPPY_SARIF" "cargo-cyclonedx@$CARGO_CYCLONEDX"

export PATH=$tools/cargo/bin:$tools/npm/node_modules/.bin:$tools/python/bin:$PATH
export NODE_PATH=$tools/npm/node_modules
export SEMGREP_SEND_METRICS=off SEMGREP_ENABLE_VERSION_CHECK=0 PYTHONDONTWRITEBYTECODE=1
export JEST_JUNIT_ADD_FILE_ATTRIBUTE=true

# --- programs ------------------------------------------------------------------------------------------------------

# program NAME STATE: a copy of the program as released (STATE is a patch beside it) or as it stands (STATE is "now");
# what follows runs in it. The tools' own configuration and the vulnerability list are put beside the sources.
program() {
  component=$1
  cd "$scratch" && rm -rf "$component" && cp -R "$here/programs/$component" "$component" && cd "$component"
  [ "$2" = now ] || patch --quiet -p1 < "$2.patch"
  rm -f -- *.patch
  cp "$here"/tools/* .
  cp "$tools/npm/node_modules/@salesforce/code-analyzer-retirejs-engine/vulnerabilities/RetireJsVulns.json" ../vulnerabilities.json
}

# --- evidence ------------------------------------------------------------------------------------------------------

out=$scratch/evidence
mkdir -p "$out"
cat > "$out/manifest.toml" <<'TOML'
# Written by demo/make.sh. One entry a file: what the demo imports, for which control, and the command that made it,
# run in the component's own folder. ageDays: how long before "now" it was collected in the demo world.
TOML

# The only change made to what a tool printed: this machine's folders, host name, e-mail addresses and the hosts of
# package registries go, nothing else.
normalise() {
  sed -E \
    -e "s#(file://)?$scratch/$component/##g; s#(file://)?$scratch/$component#.#g" \
    -e "s#(file://)?$tools/[a-z]+/#tools/#g; s#(file://)?$scratch/#../#g" \
    -e 's# hostname="[^"]*"##g' \
    -e 's#\bgit@github#git%github#g' \
    -e 's#[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.(com|org|net|io|dev|de|us|uk|name)\b#someone@example.invalid#g' \
    -e 's#\bgit%github#git@github#g' \
    -e 's#(https?://)([a-z0-9.-]*\.)?(npmjs|pypi|pythonhosted|crates)\.(org|com|io)\b#\1registry.example#g' \
    "$1"
}

# keep TABLE RELEASE FILE CONTROL FORMAT PROVIDER VERSION AGE OUTPUT COMMAND: runs the command, whose exit code tells
# of findings and is no error here, and keeps what it wrote to OUTPUT.
keep() {
  local table=$1 release=$2 file=$3 control=$4 format=$5 provider=$6 version=$7 age=$8 output=$9 command=${10}
  rm -f "$output"
  bash -o pipefail -c "$command" > "$scratch/log" 2>&1 || true
  [ -s "$output" ] || { cat "$scratch/log"; echo "nothing in $output: $command" >&2; exit 1; }
  mkdir -p "$out/$release"
  normalise "$output" > "$out/$release/$file"
  printf '\n[[%s]]\nrelease = "%s"\nfile = "%s"\ncontrol = "%s"\nformat = "%s"\nprovider = "%s"\ncomponent = "%s"\ntoolVersion = "%s"\ncommand = '"'%s'"'\nageDays = %s\n' \
    "$table" "$release" "$file" "$control" "$format" "$provider" "$component" "$version" "$command" "$age" >> "$out/manifest.toml"
  echo "$release/$file"
}
evidence() { keep evidence "$@"; }
extra() { keep extra "$@"; } # not for import: a format for later, or a release that the demo world lacks

nextest_unit='cargo nextest run --lib'
nextest_integration='cargo nextest run --test command_line'
junit=target/nextest/default/junit.xml
clippy='cargo clippy --quiet --message-format=json | clippy-sarif -o clippy.sarif'
cargo_sbom='cargo cyclonedx --format json --spec-version 1.5'
semgrep='semgrep scan --config semgrep-rules.yaml --metrics=off --disable-version-check --no-git-ignore --exclude semgrep-rules.yaml --exclude target --exclude node_modules --sarif --output semgrep.sarif .'
jest='JEST_JUNIT_OUTPUT_FILE=junit.xml jest --ci --reporters=default --reporters=jest-junit --coverage --coverageReporters=lcovonly'
eslint='eslint --config eslint.config.cjs --format @microsoft/eslint-formatter-sarif --output-file eslint.sarif src'
npm_sbom='cyclonedx-npm --omit dev --output-format JSON --output-file bom.json'
retire='retire --path . --jsrepo ../vulnerabilities.json --verbose --outputformat cyclonedxJSON1_6_VEX --outputpath retire.json'
secretlint='secretlint --secretlintrc secretlint.json --format @secretlint/secretlint-formatter-sarif --output secretlint.sarif "**/*.js"'
bandit() { echo "bandit --recursive $1 --format sarif --output bandit.sarif"; }
pytest() { echo "pytest $1 --junitxml=junit.xml --cov=$2 --cov-report=xml:coverage.xml"; }
ruff='ruff check --no-cache --output-format sarif --output-file ruff.sarif payments tests'
python_sbom='cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-format JSON --output-file bom.json'
dependencies() { npm install --silent --no-audit --no-fund --ignore-scripts --omit=dev; }

# backend: v1.0 has what blocks a release, v1.1 has it repaired.
for release in v1.0 v1.1; do
  to=backend-$release-GCN
  state=$release && [ "$release" = v1.0 ] || state=now
  export CARGO_TARGET_DIR=target
  program ledger-rs "$state"
  evidence "$to" ledger-unit.junit.xml TEST-UNIT junit cargo-nextest "$NEXTEST" 0 $junit "$nextest_unit"
  if [ "$state" = now ]; then
    evidence "$to" ledger-integration.junit.xml TEST-INTEGRATION junit cargo-nextest "$NEXTEST" 0 $junit "$nextest_integration"
    evidence "$to" ledger-clippy.sarif QUALITY-SCAN sarif clippy "$CLIPPY" 1 clippy.sarif "$clippy"
  else
    evidence "$to" ledger-clippy.sarif QUALITY-SCAN sarif clippy "$CLIPPY" 12 clippy.sarif "$clippy"
  fi
  evidence "$to" ledger-semgrep.sarif SAST-SCAN sarif semgrep "$SEMGREP" 1 semgrep.sarif "$semgrep"
  evidence "$to" ledger-sbom.cdx.json SBOM cyclonedx cargo-cyclonedx "$CARGO_CYCLONEDX" 0 ledger-rs.cdx.json "$cargo_sbom"

  program gateway-js "$state"
  dependencies
  evidence "$to" gateway-unit.junit.xml TEST-UNIT junit jest "$JEST" 0 junit.xml "$jest"
  evidence "$to" gateway-eslint.sarif SAST-SCAN sarif eslint "$ESLINT" 1 eslint.sarif "$eslint"
  evidence "$to" gateway-sbom.cdx.json SBOM cyclonedx cyclonedx-npm "$CYCLONEDX_NPM" 0 bom.json "$npm_sbom"
  evidence "$to" gateway-retire.cdx.json DEPENDENCY-SCAN cyclonedx retire "$RETIRE" 0 retire.json "$retire"
  extra "$to" gateway-coverage.lcov QUALITY-SCAN lcov jest "$JEST" 0 coverage/lcov.info "$jest"
done
evidence "$to" gateway-secretlint.sarif SECRETS-SCAN sarif secretlint "$SECRETLINT" 1 secretlint.sarif "$secretlint"

# payments: v2.2 is the release before, with planted weaknesses; v2.3 is certified.
program payments-py v2.2
extra payments-v2.2 payments-unit.junit.xml TEST-UNIT junit pytest "$PYTEST" 2 junit.xml "$(pytest tests/unit payments)"
extra payments-v2.2 payments-bandit.sarif SAST-SCAN sarif bandit "$BANDIT" 2 bandit.sarif "$(bandit payments)"
program payments-py now
evidence payments-v2.3 payments-unit.junit.xml TEST-UNIT junit pytest "$PYTEST" 0 junit.xml "$(pytest tests/unit payments)"
extra payments-v2.3 payments-coverage.cobertura.xml QUALITY-SCAN cobertura coverage.py "$COVERAGE" 0 coverage.xml "$(pytest tests payments)"
evidence payments-v2.3 payments-integration.junit.xml TEST-INTEGRATION junit pytest "$PYTEST" 0 junit.xml "$(pytest tests/integration payments)"
evidence payments-v2.3 payments-bandit.sarif SAST-SCAN sarif bandit "$BANDIT" 1 bandit.sarif "$(bandit payments)"
evidence payments-v2.3 payments-ruff.sarif QUALITY-SCAN sarif ruff "$RUFF" 1 ruff.sarif "$ruff"
evidence payments-v2.3 payments-sbom.cdx.json SBOM cyclonedx cyclonedx-py "$CYCLONEDX_PY" 0 bom.json "$python_sbom"
(cd checkout && dependencies)
evidence payments-v2.3 checkout-retire.cdx.json DEPENDENCY-SCAN cyclonedx retire "$RETIRE" 1 retire.json "$retire"

# mobile: a draft, with little evidence and one finding to repair.
program mobile-js now
dependencies
evidence mobile-v5.0 mobile-unit.junit.xml TEST-UNIT junit jest "$JEST" 0 junit.xml "$jest"
evidence mobile-v5.0 mobile-eslint.sarif QUALITY-SCAN sarif eslint "$ESLINT" 0 eslint.sarif "$eslint"

# the other organization
program portal-py now
evidence portal-v4.1 portal-unit.junit.xml TEST-UNIT junit pytest "$PYTEST" 1 junit.xml "$(pytest tests portal)"
evidence portal-v4.1 portal-bandit.sarif SAST-SCAN sarif bandit "$BANDIT" 1 bandit.sarif "$(bandit portal)"
evidence portal-v4.1 portal-sbom.cdx.json SBOM cyclonedx cyclonedx-py "$CYCLONEDX_PY" 1 bom.json "$python_sbom"

rm -rf "$here/evidence" && cp -R "$out" "$here/evidence"
python3 "$here/check.py"
