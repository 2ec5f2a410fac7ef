package signaling

import (
	"log/slog"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

// relay reads what a participant sends on its data channels: it stamps the
// sender, which nobody may forge, and finds whom the packet is for. What the
// packet carries (text, RPC, streams, encrypted or not) passes untouched as
// unknown fields.
type relay struct {
	// Set before the first packet.
	identity string
	sid      string
	log      *slog.Logger

	mu   sync.Mutex
	last uint32 // guarded by mu; sequence of the last reliable packet
}

func (r *relay) lastSequence() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *relay) route(kind sfu.DataKind, data []byte) (out sfu.Data, ok bool) {
	var p lk.DataPacket
	if err := proto.Unmarshal(data, &p); err != nil {
		r.log.Debug("data packet dropped", "err", err)
		return sfu.Data{}, false
	}
	p.ParticipantIdentity, p.ParticipantSid = r.identity, r.sid
	p.Kind = lk.DataPacket_RELIABLE
	if kind == sfu.Lossy {
		p.Kind = lk.DataPacket_LOSSY
	} else if p.GetSequence() > 0 {
		r.mu.Lock()
		if p.GetSequence() <= r.last { // said again after a resume
			r.mu.Unlock()
			return sfu.Data{}, false
		}
		r.last = p.GetSequence()
		r.mu.Unlock()
	}
	to := p.GetDestinationIdentities()
	if u := p.GetUser(); u != nil {
		u.ParticipantIdentity, u.ParticipantSid = r.identity, r.sid
		// Older clients say it here, by SID at first. A packet for some must not
		// go to all because we looked in the wrong place.
		to = slices.Concat(to, u.GetDestinationIdentities(), u.GetDestinationSids())
	}
	payload, err := proto.Marshal(&p)
	if err != nil {
		r.log.Debug("data packet dropped", "err", err)
		return sfu.Data{}, false
	}
	return sfu.Data{Payload: payload, To: to, Sequence: p.GetSequence()}, true
}
