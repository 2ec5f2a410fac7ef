#!/bin/sh
# Installs Debian's Janus, a peer to be measured beside us, where it can be had.
# Its service is not wanted: the driver starts a Janus of its own.
set -eu

if command -v janus >/dev/null 2>&1; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "this is no Debian: Janus is left out" >&2
	exit 0
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
	as_root="sudo"
fi
had_policy=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
	had_policy="no"
	printf '#!/bin/sh\nexit 101\n' | $as_root tee /usr/sbin/policy-rc.d >/dev/null
	$as_root chmod +x /usr/sbin/policy-rc.d
fi
$as_root apt-get update -q >/dev/null || true
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends janus >/dev/null ||
	echo "Janus cannot be installed and is left out" >&2
if [ -n "$had_policy" ]; then
	$as_root rm /usr/sbin/policy-rc.d
fi
