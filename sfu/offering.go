package sfu

import (
	"fmt"

	"github.com/pion/webrtc/v4"
)

// offering are the terms of a connection that only receives: the server
// offers. It opens the data channels, too.
type offering struct {
	s *subscriber

	// Owned by queue's functions.
	offerID    uint32
	waiting    bool // for the answer to offerID
	due        bool // something changed since the last offer
	restartDue bool
}

func newOffering(s *subscriber) *offering {
	o := &offering{s: s}
	s.setUp = append(s.setUp, o.channels)
	s.queue.idle = o.settle
	return o
}

func (o *offering) channels(pc *webrtc.PeerConnection) error {
	ordered, unordered, none := true, false, uint16(0)
	for kind, init := range map[DataKind]*webrtc.DataChannelInit{
		Reliable: {Ordered: &ordered}, Lossy: {Ordered: &unordered, MaxRetransmits: &none},
	} {
		dc, err := pc.CreateDataChannel(dataLabels[kind], init)
		if err != nil {
			return fmt.Errorf("create data channel: %w", err)
		}
		dc.OnOpen(func() { o.s.opened(kind, dc) })
	}
	return nil
}

func (o *offering) start() error {
	_, err := o.s.connect()
	o.due = true
	return err
}

// settle offers what has changed, unless an answer is awaited.
func (o *offering) settle() {
	pc := o.s.pc.Load()
	if pc == nil || o.waiting || !o.due && !o.restartDue {
		return
	}
	o.s.hold()
	defer o.s.release()
	offer, err := pc.CreateOffer(&webrtc.OfferOptions{ICERestart: o.restartDue})
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		o.s.fail(fmt.Errorf("offer: %w", err))
		return
	}
	o.due, o.restartDue, o.waiting = false, false, true
	o.offerID++
	o.s.p.emit(EventOffer{SDP: offer.SDP, ID: o.offerID})
}

func (o *offering) answer(sdp string, id uint32) bool {
	return o.s.queue.DoForeign(func() {
		pc := o.s.pc.Load()
		if pc == nil || !o.waiting || id != 0 && id != o.offerID {
			return // of an offer that has been overtaken
		}
		sdp, err := readAnswer(sdp, len(pc.GetTransceivers())+1) // and the data channels
		if err == nil {
			err = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp})
		}
		if err != nil {
			o.s.fail(fmt.Errorf("client's answer: %w", err))
			return
		}
		o.waiting = false
	})
}

// restart restarts ICE. An offer whose answer was lost is said again first.
func (o *offering) restart() {
	pc := o.s.pc.Load()
	if pc == nil {
		return
	}
	o.restartDue = true
	if local := pc.PendingLocalDescription(); o.waiting && local != nil {
		o.s.p.emit(EventOffer{SDP: local.SDP, ID: o.offerID})
	}
}

func (o *offering) add(pc *webrtc.PeerConnection, d *downTrack) error {
	sender, err := pc.AddTrack(d)
	if err != nil {
		return err
	}
	for _, tr := range pc.GetTransceivers() {
		if tr.Sender() == sender && tr.Mid() != "" {
			// The section of a track that was taken away: the client keeps that
			// track's name, and learns the new one from the stream's alone.
			d.stream = d.track.owner.sid + "|" + d.id
		}
	}
	o.s.sends(d, sender)
	o.due = true
	return nil
}

func (o *offering) remove(pc *webrtc.PeerConnection, _ *downTrack, sender *webrtc.RTPSender) error {
	if sender == nil {
		return nil
	}
	o.due = true
	return pc.RemoveTrack(sender)
}
