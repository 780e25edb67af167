#!/bin/sh
# Installs what the page's tests need, and runs them: types, pure parts, the page in a real Chromium.
# Set CHROMIUM to use another browser than /usr/bin/chromium, SICKBAY_URL to test a running hub's page too.
set -eu
cd "$(dirname "$0")"

chromium="${CHROMIUM:-/usr/bin/chromium}"
if [ ! -x "$chromium" ]; then
  echo "There is no browser at $chromium. Install it (Debian: apt-get install chromium) or set CHROMIUM." >&2
  exit 1
fi
command -v node >/dev/null || { echo "Node 18 or later is needed (Debian: apt-get install nodejs npm)." >&2; exit 1; }

echo "== Installing the test tools named in package-lock.json (npm ci): playwright-core, typescript, axe-core"
npm ci --no-fund --no-audit --loglevel=error

echo "== Checking the page's types (tsc --checkJs)"
npx --no-install tsc -p .

echo "== Testing the page with node $(node --version) and $chromium"
node --test units.test.mjs page.test.mjs fleet.test.mjs real-hub.test.mjs
