package sfu

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pion/webrtc/v4"
)

// preferences are the codecs in which a client wants to send its tracks. It
// offers them all in an order of its own and sends what stands first in the
// answer, so the answer has to say it.
type preferences struct {
	mu sync.Mutex
	of map[string]string // guarded by mu; MIME types by the client's id of the track, until its section comes
}

// add notes what is wanted for a track that is announced.
func (p *preferences) add(t TrackInfo) {
	mime := t.Codec
	if t.Kind == Audio {
		mime = mimeRED // each packet carries the one before it, too, and a lost one costs nothing
		if t.DisableRED {
			mime = webrtc.MimeTypeOpus
		}
	}
	if mime == "" || t.CID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil || len(p.of) >= maxTracks { // of tracks that never came
		p.of = make(map[string]string)
	}
	p.of[t.CID] = mime
}

func (p *preferences) take(cid string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	mime := p.of[cid]
	delete(p.of, cid)
	return mime
}

// apply puts first what is wanted for the tracks whose sections an offer has
// brought. What the offer does not have is not waited for.
func (p *preferences) apply(pc *webrtc.PeerConnection, sections map[string]section) error {
	for _, t := range pc.GetTransceivers() {
		s := sections[t.Mid()]
		if !s.sending || t.Receiver() == nil {
			continue
		}
		mime := p.take(s.cid)
		if mime == "" {
			continue
		}
		rank := func(c webrtc.RTPCodecParameters) int {
			if strings.EqualFold(c.MimeType, mime) {
				return 0
			}
			return 1
		}
		codecs := slices.Clone(t.Receiver().GetParameters().Codecs)
		slices.SortStableFunc(codecs, func(a, b webrtc.RTPCodecParameters) int { return rank(a) - rank(b) })
		if err := t.SetCodecPreferences(codecs); err != nil {
			return fmt.Errorf("prefer %s: %w", mime, err)
		}
	}
	return nil
}
