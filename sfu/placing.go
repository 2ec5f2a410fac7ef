package sfu

import (
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"
)

// Each offer repeats all sections of a connection. So that a full room that
// changes all the time does not choke on them, offers are asked for no sooner
// than this after the last.
const (
	askPause        = 50 * time.Millisecond
	askPauseSection = 5 * time.Millisecond // for each section that there is
)

// placing are the terms of a connection that both roles share: the client
// offers, with sections to receive in, and is asked for more of them. It opens
// the data channels, which carry both ways.
type placing struct {
	s *subscriber

	// Owned by queue's functions.
	sections map[string]section // of the last offer, by MID
	asked    [2]int             // sections by Kind, asked for and not come yet
	coming   bool               // an offer has been asked for
	due      bool               // something changed since the last offer
	askedAt  time.Time
	pause    *time.Timer // until the next may be asked for; nil when it may now
}

func newPlacing(s *subscriber) *placing {
	l := &placing{s: s}
	s.queue.idle = l.settle
	s.closing = append(s.closing, func() {
		if l.pause != nil {
			l.pause.Stop()
		}
	})
	return l
}

func (l *placing) start() error {
	_, err := l.s.connect()
	return err
}

// add takes the first free section of d's kind. Where there is none Pion keeps
// the sender for a section of a coming offer (RFC 8829, 5.10).
func (l *placing) add(pc *webrtc.PeerConnection, d *downTrack) error {
	sender, err := pc.AddTrack(d)
	if err != nil {
		return err
	}
	l.s.sends(d, sender)
	l.due = true
	return nil
}

func (l *placing) remove(pc *webrtc.PeerConnection, _ *downTrack, sender *webrtc.RTPSender) error {
	if sender == nil {
		return nil
	}
	l.due = true
	return pc.RemoveTrack(sender)
}

// offered takes note of an offer that has been applied and is to be answered.
func (l *placing) offered(pc *webrtc.PeerConnection, sections map[string]section) error {
	l.coming, l.due = false, false
	for mid, s := range sections {
		if _, had := l.sections[mid]; !had && s.receiving && !s.sending {
			l.asked[s.kind] = max(0, l.asked[s.kind]-1)
		}
	}
	l.sections = sections
	for _, tr := range pc.GetTransceivers() {
		if tr.Sender() == nil && tr.Direction() == webrtc.RTPTransceiverDirectionSendonly {
			if err := l.hush(pc, tr); err != nil {
				return fmt.Errorf("close section %s: %w", tr.Mid(), err)
			}
		}
	}
	return nil
}

// hush makes tr inactive, a section that its client made to receive in before
// there was anything to send. Pion would answer that it sends: the client would
// begin to receive a track of no name, and hear nothing of the one that the
// section gets later.
func (l *placing) hush(pc *webrtc.PeerConnection, tr *webrtc.RTPTransceiver) error {
	mime := webrtc.MimeTypeOpus
	if tr.Kind() == webrtc.RTPCodecTypeVideo {
		mime = webrtc.MimeTypeVP8
	}
	nothing, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, "-", "-")
	if err != nil {
		return err
	}
	sender, err := l.s.api.NewRTPSender(nothing, pc.SCTP().Transport())
	if err != nil {
		return err
	}
	if err := tr.SetSender(sender, nothing); err != nil {
		return err
	}
	return pc.RemoveTrack(sender)
}

// mids names the track that each section sends.
func (l *placing) mids(pc *webrtc.PeerConnection) map[string]string {
	mids := make(map[string]string)
	for _, tr := range pc.GetTransceivers() {
		if sender := tr.Sender(); sender != nil && tr.Mid() != "" {
			track := sender.Track()
			if d, ok := track.(*downTrack); track == nil || ok && d.unplayable.Load() {
				continue
			}
			mids[tr.Mid()] = track.ID()
		}
	}
	return mids
}

// settle asks for an offer when something has changed, with as many sections
// more as there are senders without one.
func (l *placing) settle() {
	pc := l.s.pc.Load()
	if pc == nil || l.sections == nil { // the first offer comes unasked
		return
	}
	more := [2]int{-l.asked[Audio], -l.asked[Video]}
	for _, tr := range pc.GetTransceivers() {
		if tr.Mid() == "" && tr.Sender() != nil {
			more[kindOfCodec(tr.Kind())]++
		}
	}
	more = [2]int{max(0, more[Audio]), max(0, more[Video])}
	missing := more[Audio] + more[Video]
	if missing == 0 && (!l.due || l.coming) || l.pause != nil {
		return
	}
	if len(l.sections)+l.asked[Audio]+l.asked[Video]+missing > maxSharedSections {
		l.s.fail(fmt.Errorf("more than %d sections", maxSharedSections))
		return
	}
	if wait := askPause + time.Duration(len(l.sections))*askPauseSection - time.Since(l.askedAt); wait > 0 {
		l.pause = time.AfterFunc(wait, func() { l.s.queue.Do(func() { l.pause = nil }) })
		return
	}
	l.askedAt = time.Now()
	l.asked[Audio] += more[Audio]
	l.asked[Video] += more[Video]
	l.coming, l.due = true, false
	l.s.p.emit(EventSectionsRequired{Audios: more[Audio], Videos: more[Video]})
}

// restart forgets what was asked for: the client may not have heard it. It
// restarts ICE by itself.
func (l *placing) restart() { l.asked, l.coming = [2]int{}, false }

// answer is not for here: nothing is offered.
func (l *placing) answer(string, uint32) bool { return true }
