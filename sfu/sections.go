package sfu

import (
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	// maxSections and maxSharedSections bound a connection that is offered by
	// its client, which repeats them all in each offer; shared is one that also
	// receives.
	maxSections       = 3 * maxTracks
	maxSharedSections = 6 * maxTracks
	maxMID            = 32 // bytes; others are told of it
)

// section is what matters of a section of a client's offer.
type section struct {
	kind      Kind
	sending   bool
	receiving bool
	cid       string // the client's id of the track that it sends
}

// readOffer checks the bounds of a client's offer, of most sections, strips its candidates (see
// transport.candidate), and tells what its sections send, by MID.
func readOffer(offer string, most int) (stripped string, sections map[string]section, err error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return "", nil, fmt.Errorf("parse offer: %w", err)
	}
	if len(d.MediaDescriptions) > most {
		return "", nil, fmt.Errorf("offer has %d sections, more than %d", len(d.MediaDescriptions), most)
	}
	sections = make(map[string]section)
	for _, m := range d.MediaDescriptions {
		mid, ok := m.Attribute("mid")
		if len(mid) > maxMID {
			return "", nil, fmt.Errorf("offer has a mid of %d bytes, more than %d", len(mid), maxMID)
		}
		// Port 0 refuses a section, or says that it shares the bundle's (RFC 8843,
		// 6): so Firefox, when it restarts ICE.
		if _, bundled := m.Attribute("bundle-only"); !ok || m.MediaName.Port.Value == 0 && !bundled {
			continue
		}
		_, recvonly := m.Attribute("recvonly")
		_, sendonly := m.Attribute("sendonly")
		_, inactive := m.Attribute("inactive")
		s := section{sending: !recvonly && !inactive, receiving: !sendonly && !inactive}
		if m.MediaName.Media == "video" {
			s.kind = Video
		}
		if msid, ok := m.Attribute("msid"); ok { // RFC 8830, 2: stream, then track
			_, s.cid, _ = strings.Cut(msid, " ")
		}
		sections[mid] = s
	}
	return stripCandidates(offer), sections, nil
}

func stripCandidates(sdp string) string {
	if !strings.Contains(sdp, "a=candidate:") {
		return sdp
	}
	var b strings.Builder
	b.Grow(len(sdp))
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func kindOfCodec(t webrtc.RTPCodecType) Kind {
	if t == webrtc.RTPCodecTypeVideo {
		return Video
	}
	return Audio
}
