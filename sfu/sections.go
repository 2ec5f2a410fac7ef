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

	// The rest of a description. Browsers write up to 400 lines a section, and
	// four for each stream that they send; for some of them Pion looks through all
	// others.
	maxLines      = 1000 // of a section, and of what stands before the sections
	maxFormats    = 128  // of a section
	maxRIDs       = 16   // of a section
	maxSSRCLines  = 2000 // of all sections
	maxGroupLines = 400  // of streams, of all sections
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
	if err := bounded(&d, most); err != nil {
		return "", nil, fmt.Errorf("offer has %w", err)
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

// readAnswer checks the bounds of a client's answer, of most sections, and
// strips its candidates.
func readAnswer(answer string, most int) (stripped string, err error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", fmt.Errorf("parse answer: %w", err)
	}
	if err := bounded(&d, most); err != nil {
		return "", fmt.Errorf("answer has %w", err)
	}
	return stripCandidates(answer), nil
}

// bounded tells what d, of most sections, has too much of.
func bounded(d *sdp.SessionDescription, most int) error {
	switch {
	case len(d.MediaDescriptions) > most:
		return fmt.Errorf("%d sections, more than %d", len(d.MediaDescriptions), most)
	case len(d.Attributes) > maxLines:
		return fmt.Errorf("%d lines before the sections, more than %d", len(d.Attributes), maxLines)
	}
	ssrcs, groups := 0, 0
	for _, m := range d.MediaDescriptions {
		lines, rids := 0, 0
		for _, a := range m.Attributes {
			lines++
			switch a.Key {
			case "candidate": // stripped
				lines--
			case "rid":
				rids++
			case sdp.AttrKeySSRC:
				ssrcs++
			case sdp.AttrKeySSRCGroup:
				groups++
			}
		}
		switch {
		case lines > maxLines:
			return fmt.Errorf("a section of %d lines, more than %d", lines, maxLines)
		case len(m.MediaName.Formats) > maxFormats:
			return fmt.Errorf("a section of %d formats, more than %d", len(m.MediaName.Formats), maxFormats)
		case rids > maxRIDs:
			return fmt.Errorf("a section of %d rids, more than %d", rids, maxRIDs)
		}
	}
	switch {
	case ssrcs > maxSSRCLines:
		return fmt.Errorf("%d ssrc lines, more than %d", ssrcs, maxSSRCLines)
	case groups > maxGroupLines:
		return fmt.Errorf("%d ssrc-group lines, more than %d", groups, maxGroupLines)
	}
	return nil
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
