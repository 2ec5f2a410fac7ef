package sfu

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pion/webrtc/v4"
)

var dataLabels = map[DataKind]string{Reliable: "_reliable", Lossy: "_lossy"}

// maxDataBytes bounds one data packet; clients learn it from SDP.
const maxDataBytes = 64 << 10

// Most bytes that may wait for a slow subscriber. Past it lossy packets are
// dropped, as their name says; a subscriber that far behind on what modest senders
// say reliably has lost the thread and is made to join again.
var dataBacklog = [2]uint64{Reliable: 4 << 20, Lossy: 64 << 10}

// modestBacklog is from where on a slow subscriber gets only what modest senders
// say: it must not lose its place, and what the others say, to one who says more
// than its line carries. It is more than one participant may say at once.
//
// What is left out so is lost, and the subscriber is not told: later packets of
// the same sender go out once there is room, and a resume brings what follows the
// last of them, not what is missing before it.
const modestBacklog = 3 << 20

// dataSender sends packets of one kind to one subscriber.
type dataSender struct {
	channel atomic.Pointer[webrtc.DataChannel] // nil until open

	// Of Reliable alone. mu keeps each sender's packets in order while some are
	// said again; sending only queues, so it is not held for long.
	mu   sync.Mutex
	sent map[string]uint32 // guarded by mu; number of the last packet, by its sender's SID
}

// Data is a data packet to forward.
type Data struct {
	Payload  []byte
	To       []string // identities or SIDs; none: everybody
	Sequence uint32   // rises with the reliable packets of one sender; 0: none, it is not kept for later
}

// dataChannel takes the data channels that a client opens on its publisher
// connection; unknown ones are left alone.
func (b *publisher) dataChannel(dc *webrtc.DataChannel) {
	n := b.channels.Add(1)
	if n > mostChannels {
		b.fail(errors.New("client opens too many data channels"))
		return
	}
	if n > maxChannels {
		dc.OnOpen(func() { // only now is there something to close
			if err := dc.Close(); err != nil {
				b.p.log.Debug("data channel not closed", "err", err)
			}
		})
		return
	}
	for kind, label := range dataLabels {
		if dc.Label() == label {
			if b.placing != nil {
				dc.OnOpen(func() { b.placing.s.opened(kind, dc) })
			}
			dc.OnMessage(func(m webrtc.DataChannelMessage) {
				defer b.recovered()
				if b.p.mayData.Load() && b.paced(kind, len(m.Data)) {
					b.p.relay(kind, m.Data, b.modest(len(m.Data)))
				}
			})
		}
	}
}

// relay sends a data packet of p, who is modest or not, to those it is for.
func (p *Participant) relay(kind DataKind, data []byte, modest bool) {
	if !p.mayData.Load() || p.route == nil {
		return
	}
	out, ok := p.route(kind, data)
	if !ok {
		return
	}
	d := newReliable(p, out)
	d.modest = modest
	numbered := kind == Reliable && out.Sequence > 0
	if numbered {
		p.room.replay.add(d) // before anybody gets it: whose channel opens meanwhile finds it there
	}
	for _, m := range *p.room.members.Load() {
		switch {
		case !d.isFor(m):
		case numbered:
			m.sub.deliver(d)
		default:
			m.sub.sendData(kind, out.Payload, modest)
		}
	}
}

// sendData reports whether the packet, of a sender who is modest or not, is on
// its way.
func (s *subscriber) sendData(kind DataKind, data []byte, modest bool) bool {
	dc := s.data[kind].channel.Load()
	if dc == nil {
		return false // not up yet
	}
	waiting := dc.BufferedAmount()
	if kind == Reliable && !modest && waiting > modestBacklog {
		s.p.room.sfu.metrics.dataDropped.Inc()
		return false
	}
	if waiting > dataBacklog[kind] {
		s.p.room.sfu.metrics.dataDropped.Inc()
		if kind == Reliable {
			s.p.room.post(left{s.p, ReasonMediaFailure, ActionReconnect})
		}
		return false
	}
	if err := dc.Send(data); err != nil {
		s.p.log.Debug("data not sent", "err", err)
		return false
	}
	return true
}
