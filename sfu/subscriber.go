package sfu

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// subscriber is the connection on which a client receives; the server offers.
type subscriber struct {
	p     *Participant
	pc    atomic.Pointer[webrtc.PeerConnection] // written by queue's functions
	data  [2]dataSender                         // by DataKind
	queue serial
	loops sync.WaitGroup // RTCP loops of senders

	// Owned by queue's functions.
	offerID    uint32
	waiting    bool // for the answer to offerID
	due        bool // something changed since the last offer
	restartDue bool
	senders    map[*downTrack]*webrtc.RTPSender
}

func newSubscriber(p *Participant) *subscriber {
	t := &subscriber{p: p, senders: make(map[*downTrack]*webrtc.RTPSender)}
	t.queue.idle = t.negotiate
	return t
}

// start makes the connection, with its data channels, and offers it.
func (t *subscriber) start() {
	t.queue.Do(func() {
		if err := t.connect(); err != nil {
			t.fail(err)
		}
	})
}

func (t *subscriber) connect() error {
	s := t.p.room.sfu
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{Certificates: s.certs})
	if err != nil {
		return fmt.Errorf("create subscriber connection: %w", err)
	}
	t.pc.Store(pc)
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { t.p.emitCandidate(TargetSubscriber, c) })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			t.p.room.post(mediaUp{t.p})
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			t.p.room.post(mediaDown{t.p})
		default: // on the way to one of these
		}
	})
	ordered, unordered, none := true, false, uint16(0)
	for kind, init := range map[DataKind]*webrtc.DataChannelInit{
		Reliable: {Ordered: &ordered}, Lossy: {Ordered: &unordered, MaxRetransmits: &none},
	} {
		dc, err := pc.CreateDataChannel(dataLabels[kind], init)
		if err != nil {
			return fmt.Errorf("create data channel: %w", err)
		}
		dc.OnOpen(func() { t.data[kind].channel.Store(dc) })
	}
	t.due = true
	return nil
}

// fail ends the participant's place: its client joins again with new
// connections.
func (t *subscriber) fail(err error) {
	t.p.log.Warn("subscriber connection failed", "err", err)
	t.p.room.post(left{t.p, ReasonMediaFailure, ActionReconnect})
}

// negotiate offers what has changed, unless an answer is awaited.
func (t *subscriber) negotiate() {
	pc := t.pc.Load()
	if pc == nil || t.waiting || !t.due && !t.restartDue {
		return
	}
	offer, err := pc.CreateOffer(&webrtc.OfferOptions{ICERestart: t.restartDue})
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.fail(fmt.Errorf("offer: %w", err))
		return
	}
	t.due, t.restartDue, t.waiting = false, false, true
	t.offerID++
	t.p.emit(EventOffer{SDP: offer.SDP, ID: t.offerID})
}

// answer applies the client's answer.
func (t *subscriber) answer(sdp string, id uint32) {
	ok := t.queue.DoForeign(func() {
		pc := t.pc.Load()
		if pc == nil || !t.waiting || id != 0 && id != t.offerID {
			return // of an offer that has been overtaken
		}
		err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: stripCandidates(sdp)})
		if err != nil {
			t.fail(fmt.Errorf("apply answer: %w", err))
			return
		}
		t.waiting = false
	})
	if !ok { // gone, or it answers what nobody asked
		t.p.room.post(left{t.p, ReasonMediaFailure, ActionDisconnect})
	}
}

// candidate: see publisher.candidate.
func (t *subscriber) candidate(webrtc.ICECandidateInit) {}

// restart restarts ICE for a client that has come back. An offer whose answer
// was lost is said again first.
func (t *subscriber) restart() {
	t.queue.Do(func() {
		pc := t.pc.Load()
		if pc == nil {
			return
		}
		t.restartDue = true
		if local := pc.PendingLocalDescription(); t.waiting && local != nil {
			t.p.emit(EventOffer{SDP: local.SDP, ID: t.offerID})
		}
	})
}

// add begins to send d.
func (t *subscriber) add(d *downTrack) {
	t.queue.Do(func() {
		pc := t.pc.Load()
		if pc == nil {
			return
		}
		sender, err := pc.AddTrack(d)
		if err != nil {
			t.fail(fmt.Errorf("add track: %w", err))
			return
		}
		for _, tr := range pc.GetTransceivers() {
			if tr.Sender() == sender && tr.Mid() != "" {
				// The section of a track that was taken away: the client keeps that
				// track's name, and learns the new one from the stream's alone.
				d.stream = d.track.owner.sid + "|" + d.id
			}
		}
		t.senders[d] = sender
		t.loops.Go(func() { d.readRTCP(sender) })
		t.due = true
	})
}

// remove ends sending d.
func (t *subscriber) remove(d *downTrack) {
	t.queue.Do(func() {
		pc, sender := t.pc.Load(), t.senders[d]
		if pc == nil || sender == nil {
			return
		}
		delete(t.senders, d)
		if err := pc.RemoveTrack(sender); err != nil {
			t.fail(fmt.Errorf("remove track: %w", err))
			return
		}
		t.due = true
	})
}

// write sends RTCP to the subscriber. A connection that is going takes none.
func (t *subscriber) write(packets []rtcp.Packet) {
	if pc := t.pc.Load(); pc != nil {
		if err := pc.WriteRTCP(packets); err != nil {
			t.p.log.Debug("RTCP to subscriber not sent", "err", err)
		}
	}
}

// close ends the connection and waits for its goroutines.
func (t *subscriber) close() {
	t.queue.Close(func() {
		if pc := t.pc.Load(); pc != nil {
			if err := pc.GracefulClose(); err != nil {
				t.p.log.Debug("subscriber connection closed badly", "err", err)
			}
		}
		t.loops.Wait()
	})
	t.queue.Wait()
}
