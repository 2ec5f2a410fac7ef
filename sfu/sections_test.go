package sfu

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// The sections of an offer are told by direction; one of port 0 is refused
// unless it shares the bundle's port.
func TestReadOffer(t *testing.T) {
	offer := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	for i, s := range []string{
		"audio 9|a=recvonly", "video 0|a=bundle-only|a=sendonly|a=msid:stream cam", "audio 0|a=sendonly|a=msid:stream mic", "audio 9|a=inactive|a=msid:- gone", "video 9|a=msid:- both",
	} {
		media, attributes, _ := strings.Cut(s, "|")
		offer += fmt.Sprintf("m=%s UDP/TLS/RTP/SAVPF 96\r\na=mid:%d\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n%s\r\n", media, i, strings.ReplaceAll(attributes, "|", "\r\n"))
	}
	out, sections, err := readOffer(offer, maxSections)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]section{
		"0": {kind: Audio, receiving: true},
		"1": {kind: Video, sending: true, cid: "cam"},
		"3": {kind: Audio, cid: "gone"},
		"4": {kind: Video, sending: true, receiving: true, cid: "both"},
	}; !maps.Equal(sections, want) {
		t.Errorf("read as %+v, want %+v", sections, want)
	}
	if strings.Contains(out, "candidate") || !strings.Contains(out, "a=bundle-only") {
		t.Errorf("stripped to %q", out)
	}
	if _, _, err := readOffer(offer, 4); err == nil {
		t.Error("more sections than may be are read")
	}
}
