#!/bin/sh
# Encodes a moving scene under noise at the bit rates of the three layers and
# prints the sizes of its frames, as clip.txt holds them. Needs ffmpeg with
# libvpx; nothing runs it but who wants other sizes.
set -eu

sizes() { # of the packets of one encode: key frames if $1 is K, else the others
	ffprobe -v error -show_entries packet=size,flags -of csv=p=0 "$2" |
		awk -F, -v want="$1" '{ key = ($2 ~ /K/) } want == "K" && key || want != "K" && !key { printf " %s", $1 }'
}

layer() { # rid size fps kbps
	tmp=$(mktemp -d)
	for every in 60 9999; do
		ffmpeg -v error -f lavfi -i "testsrc2=size=$2:rate=$3:duration=10,noise=alls=6:allf=t" \
			-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -error-resilient 1 -auto-alt-ref 0 \
			-b:v "$4k" -minrate "$4k" -maxrate "$4k" -bufsize "$4k" -qmin 2 -qmax 58 -g "$every" -keyint_min "$every" \
			-ts-parameters "ts_number_layers=3:ts_target_bitrate=$(($4 * 4 / 10)),$(($4 * 6 / 10)),$4:ts_rate_decimator=4,2,1:ts_periodicity=4:ts_layer_id=0,2,1,2" \
			-f ivf -y "$tmp/$every.ivf"
	done
	echo "$1 key$(sizes K "$tmp/60.ivf")"
	echo "$1 delta$(sizes D "$tmp/9999.ivf")"
	rm -r "$tmp"
}

layer q 320x180 15 150
layer h 640x360 30 500
layer f 1280x720 30 2000
