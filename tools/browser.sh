#!/bin/sh
# Print the path of a Chromium. With --install, get one when there is none: from apt where that is allowed, else the
# build that the npm package @sparticuz/chromium carries. The page's tests are skipped, saying so, without one.
set -eu
cd "$(dirname "$0")/.."

find_one() {
    if [ -n "${CHROMIUM:-}" ] && [ -x "$CHROMIUM" ]; then echo "$CHROMIUM"; return 0; fi
    for name in chromium chromium-browser google-chrome-stable google-chrome; do
        command -v "$name" 2>/dev/null && return 0
    done
    for path in web/node_modules/.chromium/chromium; do
        [ -x "$path" ] && echo "$PWD/$path" && return 0
    done
    return 1
}

from_apt() {
    command -v apt-get >/dev/null 2>&1 || return 1
    as_root=""
    if [ "$(id -u)" != 0 ]; then sudo -n true 2>/dev/null || return 1; as_root="sudo -n"; fi
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq >&2 && $as_root apt-get install -qq -y --no-install-recommends chromium >&2
}

from_npm() {
    command -v npm >/dev/null 2>&1 || return 1
    mkdir -p web/node_modules/.chromium
    (
        cd web/node_modules/.chromium
        npm install --silent --no-save --no-audit --no-fund --prefix . @sparticuz/chromium >&2
        node --input-type=module -e "
            import chromium from '@sparticuz/chromium';
            import { copyFileSync, chmodSync } from 'node:fs';
            copyFileSync(await chromium.executablePath(), 'chromium'); chmodSync('chromium', 0o755);"
    )
}

find_one && exit 0
if [ "${1:-}" = "--install" ]; then
    from_apt || from_npm || true
    find_one && exit 0
fi
echo "no Chromium here: the page's tests in a browser will be skipped (set CHROMIUM to the path of one)" >&2
[ "${1:-}" = "--install" ] && exit 0
exit 1
