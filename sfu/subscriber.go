package sfu

import (
	"fmt"

	"github.com/pion/webrtc/v4"
)

// subscriber is the role of a connection on which a client receives.
type subscriber struct {
	*transport
	data  [2]dataSender // by DataKind
	terms terms

	congestion *congestion

	// Owned by queue's functions.
	senders map[*downTrack]*webrtc.RTPSender
}

// terms agree with the client about what its connection carries. All but answer
// are called by the transport's queue alone.
type terms interface {
	// start prepares the connection, before anything is agreed.
	start() error
	// add puts d on the connection, or notes it for when there is a place for it.
	add(pc *webrtc.PeerConnection, d *downTrack) error
	// remove takes d, sent by sender, off the connection. A d that was only
	// noted has none.
	remove(pc *webrtc.PeerConnection, d *downTrack, sender *webrtc.RTPSender) error
	// settle says to the client what is due; the queue is idle.
	settle()
	// restart repeats what a client that has come back may have missed.
	restart()
	// answer takes a client's answer. It reports false for one too many (see
	// serial.DoForeign).
	answer(sdp string, id uint32) bool
}

func newSubscriber(t *transport) *subscriber {
	s := &subscriber{transport: t, senders: make(map[*downTrack]*webrtc.RTPSender)}
	s.congestion = newCongestion(s)
	s.data[Reliable].sent = make(map[string]uint32)
	t.setUp = append(t.setUp, t.watch)
	t.closing = append(t.closing, s.congestion.close)
	return s
}

// start makes the connection ready.
func (s *subscriber) start() {
	s.queue.Do(func() {
		if err := s.terms.start(); err != nil {
			s.fail(err)
		}
	})
}

// answer takes the client's answer to an offer. It reports false for one too
// many.
func (s *subscriber) answer(sdp string, id uint32) bool { return s.terms.answer(sdp, id) }

// restart serves a client that has come back.
func (s *subscriber) restart() { s.queue.Do(s.terms.restart) }

// add begins to send d.
func (s *subscriber) add(d *downTrack) {
	s.queue.Do(func() {
		pc := s.pc.Load()
		if pc == nil {
			return
		}
		if err := s.terms.add(pc, d); err != nil {
			s.fail(fmt.Errorf("add track: %w", err))
		}
	})
}

// sends notes that sender sends d. It is a function of the queue's.
func (s *subscriber) sends(d *downTrack, sender *webrtc.RTPSender) { s.senders[d] = sender }

// remove ends sending d.
func (s *subscriber) remove(d *downTrack) {
	s.queue.Do(func() {
		pc, sender := s.pc.Load(), s.senders[d]
		if pc == nil {
			return
		}
		delete(s.senders, d)
		if pc.ConnectionState() == webrtc.PeerConnectionStateClosed { // the client was the first to close it
			return
		}
		if err := s.terms.remove(pc, d, sender); err != nil {
			s.fail(fmt.Errorf("remove track: %w", err))
		}
	})
}
