package camera

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// clipText holds the sizes of the frames of one clip, encoded once at each
// layer's bit rate: a line a layer, "rid key|delta size…". testdata would do
// for tests alone, and drivers need it.
//
// It was made by ffmpeg 5.1 and libvpx 1.12 (VP8, real-time deadline, constant
// bit rate, three temporal layers, one key frame at the start and one every
// 60 frames for the key frames' sizes) from ten seconds of ffmpeg's moving
// test scene under noise, as a webcam has it. See clip.sh.
//
//go:embed clip.txt
var clipText string

// clip holds the sizes of the frames of one layer, in bytes.
type clip struct {
	keys   []int
	deltas []int // of temporal layers 0, 2, 1, 2, and so on
}

// readClips reads clipText, by RID.
func readClips(text string) (map[string]clip, error) {
	clips := make(map[string]clip)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		sizes := make([]int, 0, len(fields)-2)
		for _, f := range fields[2:] {
			n, err := strconv.Atoi(f)
			if err != nil || n <= 0 {
				return nil, fmt.Errorf("camera: clip of layer %s: size %q", fields[0], f)
			}
			sizes = append(sizes, n)
		}
		c := clips[fields[0]]
		switch fields[1] {
		case "key":
			c.keys = sizes
		case "delta":
			c.deltas = sizes
		default:
			return nil, fmt.Errorf("camera: clip of layer %s: frames of kind %q", fields[0], fields[1])
		}
		clips[fields[0]] = c
	}
	for rid, c := range clips {
		if len(c.keys) == 0 || len(c.deltas) == 0 {
			return nil, fmt.Errorf("camera: clip of layer %s lacks key frames or others", rid)
		}
	}
	return clips, nil
}
