package sfu_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// Each of two sees and hears the other, over UDP and where only TCP is open.
func TestMediaFlowsBothWays(t *testing.T) {
	for name, c := range map[string]struct {
		network webrtc.NetworkType
		proto   webrtc.ICEProtocol
		one     bool
	}{
		"udp":                 {webrtc.NetworkTypeUDP4, webrtc.ICEProtocolUDP, false},
		"tcp":                 {webrtc.NetworkTypeTCP4, webrtc.ICEProtocolTCP, false},
		"udp, one connection": {webrtc.NetworkTypeUDP4, webrtc.ICEProtocolUDP, true},
		"tcp, one connection": {webrtc.NetworkTypeTCP4, webrtc.ICEProtocolTCP, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			cfg := &meetingpeer.MediaConfig{Networks: []webrtc.NetworkType{c.network}, OneConnection: c.one}
			people := []*client{join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)}
			for _, p := range people {
				sound, _ := p.publish(microphone(p.p.Identity() + "-mic"))
				picture, _ := p.publish(camera(p.p.Identity() + "-cam"))
				p.pump(sound, opus)
				p.pump(picture, vp8)
			}
			for i, p := range people {
				other := people[1-i]
				got := map[webrtc.RTPCodecType]string{}
				for range 2 {
					tr := p.track()
					if !strings.HasPrefix(tr.Stream, other.p.SID()+"|") || !strings.HasPrefix(tr.ID, "TR_") {
						t.Errorf("stream %q, track %q of %s", tr.Stream, tr.ID, other.p.SID())
					}
					if at := p.TrackAt(tr.MID); c.one && at != tr.ID {
						t.Errorf("section %s is said to carry %q, and carries %s", tr.MID, at, tr.ID)
					}
					first := p.steady(tr)
					got[tr.Kind] = string(first.Payload)
					for n := first.SequenceNumber + 1; n != first.SequenceNumber+50; n++ {
						if pkt := p.next(tr, nil); pkt.SequenceNumber != n {
							t.Fatalf("packet %d after %d", pkt.SequenceNumber, n-1)
						}
					}
				}
				if !strings.HasPrefix(got[webrtc.RTPCodecTypeAudio], "sound ") || !strings.Contains(got[webrtc.RTPCodecTypeVideo], "picture ") {
					t.Fatalf("%s received %q", p.p.Identity(), got)
				}
				pair, err := p.Subscriber().SCTP().Transport().ICETransport().GetSelectedCandidatePair()
				if err != nil || pair.Remote.Protocol != c.proto {
					t.Fatalf("goes by %v (%v), want %v", pair, err, c.proto)
				}
			}
		})
	}
}

// A stream outlives the wrap of its 16-bit numbers, and half of it, and its
// packets may still be asked for again.
func TestLongStreamsGoOn(t *testing.T) { bothForms(t, testLongStreamsGoOn) }

func testLongStreamsGoOn(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, _ := an.publish(microphone("mic"))
	const step, leaps = 997, 200 // three times around, for the packets of an hour
	an.pump(pub, func(n int) *rtp.Packet {
		p := opus(n)
		p.SequenceNumber = uint16(min(n, leaps)*step + max(0, n-leaps))
		return p
	})
	tr := chi.track()
	last := chi.steady(tr)
	for leapt := false; ; {
		p := chi.next(tr, nil)
		if p.SequenceNumber != last.SequenceNumber+step {
			leapt = p.SequenceNumber == last.SequenceNumber+1
			if !leapt {
				t.Fatalf("packet %d after %d", p.SequenceNumber, last.SequenceNumber)
			}
		}
		if last = p; leapt {
			break
		}
	}
	askAgain(t, chi, tr, last)
}

// askAgain asks for a packet by NACK until it comes again, as it was.
func askAgain(t *testing.T, c *client, tr *meetingpeer.Track, was *rtp.Packet) {
	t.Helper()
	ask := time.NewTicker(100 * time.Millisecond)
	defer ask.Stop()
	limit := time.After(wait)
	for {
		select {
		case p := <-tr.Packets:
			if p.SequenceNumber == was.SequenceNumber {
				if string(p.Payload) != string(was.Payload) || p.Timestamp != was.Timestamp {
					t.Fatalf("sent again as %q at %d, was %q at %d", p.Payload, p.Timestamp, was.Payload, was.Timestamp)
				}
				return
			}
		case <-ask.C:
			if err := c.WriteRTCP(&rtcp.TransportLayerNack{MediaSSRC: tr.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{was.SequenceNumber})}); err != nil {
				t.Fatal(err)
			}
		case <-limit:
			t.Fatalf("packet %d does not come again", was.SequenceNumber)
		}
	}
}

// lossy drops each packet whose number ends in 7 when it first passes, either
// way.
type lossy struct {
	interceptor.NoOp
	mu      sync.Mutex
	seen    map[uint16]bool // guarded by mu
	dropped atomic.Int32
}

func (l *lossy) NewInterceptor(string) (interceptor.Interceptor, error) { return l, nil }

func (l *lossy) drop(seq uint16) bool {
	if seq%10 != 7 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.seen[seq]
	l.seen[seq] = true
	if first {
		l.dropped.Add(1)
	}
	return first
}

func (l *lossy) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		for {
			n, attr, err := r.Read(b, a)
			var h rtp.Header
			if err != nil {
				return n, attr, err
			}
			if _, err := h.Unmarshal(b[:n]); err != nil || !l.drop(h.SequenceNumber) {
				return n, attr, err
			}
		}
	})
}

func (l *lossy) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if l.drop(h.SequenceNumber) {
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

// allPictures expects the pictures from the first received on, each once or
// more, in whatever order.
func allPictures(t *testing.T, c *client, tr *meetingpeer.Track, count int) {
	t.Helper()
	var first int
	p := c.next(tr, nil)
	if _, err := fmt.Sscanf(string(p.Payload[2:]), "picture %d", &first); err != nil {
		t.Fatal(err)
	}
	missing := make(map[int]bool)
	for n := first + 1; n < first+count; n++ {
		missing[n] = true
	}
	for len(missing) > 0 {
		var n int
		p := c.next(tr, nil)
		if _, err := fmt.Sscanf(string(p.Payload[2:]), "picture %d", &n); err != nil {
			t.Fatal(err)
		}
		delete(missing, n)
		if n > first+2*count {
			t.Fatalf("at picture %d, these are still missing: %v", n, missing)
		}
	}
}

// What is lost on the way to a subscriber comes again from the SFU.
func TestLossTowardsSubscriberIsMended(t *testing.T) { bothForms(t, testLossTowardsSubscriberIsMended) }

func testLossTowardsSubscriberIsMended(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	generator, err := nack.NewGeneratorInterceptor(nack.GeneratorInterval(20 * time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	loss := &lossy{seen: map[uint16]bool{}}
	an := join(t, s, everything("r", "an"), cfg)
	chi := join(t, s, everything("r", "chi"), &meetingpeer.MediaConfig{OneConnection: cfg.OneConnection, Interceptors: []interceptor.Factory{loss, generator}})
	pub, _ := an.publish(camera("cam"))
	an.pump(pub, vp8)
	allPictures(t, chi, chi.track(), 200)
	if loss.dropped.Load() < 15 {
		t.Fatalf("only %d packets were dropped", loss.dropped.Load())
	}
}

// What is lost on the way from a publisher the SFU asks for.
func TestLossFromPublisherIsMended(t *testing.T) { bothForms(t, testLossFromPublisherIsMended) }

func testLossFromPublisherIsMended(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	responder, err := nack.NewResponderInterceptor()
	if err != nil {
		t.Fatal(err)
	}
	loss := &lossy{seen: map[uint16]bool{}}
	an := join(t, s, everything("r", "an"), &meetingpeer.MediaConfig{OneConnection: cfg.OneConnection, Interceptors: []interceptor.Factory{loss, responder}})
	chi := join(t, s, everything("r", "chi"), cfg)
	pub, _ := an.publish(camera("cam"))
	an.pump(pub, vp8)
	allPictures(t, chi, chi.track(), 200)
	if loss.dropped.Load() < 15 {
		t.Fatalf("only %d packets were dropped", loss.dropped.Load())
	}
}

// A packet that is larger than any frame of Ethernet, as TCP can carry, costs
// nothing but itself.
func TestOversizedPacketIsPassedOver(t *testing.T) {
	s := serve(t)
	an := join(t, s, everything("r", "an"), &meetingpeer.MediaConfig{Networks: []webrtc.NetworkType{webrtc.NetworkTypeTCP4}})
	chi := join(t, s, everything("r", "chi"), nil)
	pub, _ := an.publish(microphone("mic"))
	var big atomic.Bool
	an.pump(pub, func(n int) *rtp.Packet {
		p := opus(n)
		if big.CompareAndSwap(true, false) {
			p.Payload = make([]byte, 2500)
		}
		return p
	})
	tr := chi.track()
	last := chi.next(tr, nil)
	big.Store(true)
	gap := false
	for range 200 {
		p := chi.next(tr, nil)
		gap = gap || p.SequenceNumber == last.SequenceNumber+2
		last = p
	}
	if !gap {
		t.Fatal("the packet was forwarded, or never sent")
	}
}

func isPLI(p rtcp.Packet) bool {
	_, ok := p.(*rtcp.PictureLossIndication)
	return ok
}

// A subscriber's wish for a key frame reaches the publisher, but a subscriber
// gone wild does not make it send key frames all the time.
func TestKeyFramesAreAskedForWithMeasure(t *testing.T) {
	bothForms(t, testKeyFramesAreAskedForWithMeasure)
}

func testKeyFramesAreAskedForWithMeasure(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, _ := an.publish(camera("cam"))
	an.pump(pub, vp8)
	tr := chi.track()
	chi.next(tr, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := chi.WriteRTCP(&rtcp.PictureLossIndication{MediaSSRC: tr.SSRC}, &rtcp.FullIntraRequest{MediaSSRC: tr.SSRC, FIR: []rtcp.FIREntry{{SSRC: tr.SSRC}}}); err != nil {
					t.Error(err)
					return
				}
			case <-stop:
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	const asked = 4
	if err := pub.Request(ctx(t), isPLI); err != nil { // one may have waited since the start
		t.Fatal(err)
	}
	start := time.Now()
	for range asked {
		if err := pub.Request(ctx(t), isPLI); err != nil {
			t.Fatal(err)
		}
	}
	// Half a second each; half of that allows for a machine under load.
	if took := time.Since(start); took < asked*250*time.Millisecond {
		t.Fatalf("%d key frames asked for in %v", asked, took)
	}
}

// Muted means that nothing passes, whatever the client sends and whoever asks
// for it again; what is said after unmuting follows without a gap.
func TestMuteStopsForwarding(t *testing.T) { bothForms(t, testMuteStopsForwarding) }

func testMuteStopsForwarding(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, sid := an.publish(microphone("mic"))
	var phase atomic.Value
	phase.Store("before")
	var secrets atomic.Int32
	an.pump(pub, func(n int) *rtp.Packet {
		p := opus(n)
		p.Payload = []byte(phase.Load().(string))
		if string(p.Payload) == "secret" {
			secrets.Add(1)
		}
		return p
	})
	tr := chi.track()
	chi.steady(tr)
	an.p.Mute(sid, true)
	muted := func(want bool) func(sfu.ParticipantInfo) bool {
		return func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 1 && p.Tracks[0].Muted == want }
	}
	chi.awaitParticipant("an", "is muted", muted(true))
	phase.Store("secret")
	for secrets.Load() < 50 {
		chi.up() // it is; the pump needs its time
		waitTick(t)
	}
	phase.Store("after")
	waitTick(t)
	an.p.Mute(sid, false)
	var first *rtp.Packet
	var seqs []uint16
	var last *rtp.Packet
	for first == nil {
		switch p := chi.next(tr, nil); string(p.Payload) {
		case "before":
			last = p
		case "secret":
			t.Fatal("a muted packet was forwarded")
		case "after":
			first = p
		}
	}
	if last != nil && first.SequenceNumber != last.SequenceNumber+1 {
		t.Fatalf("packet %d after %d: muting left a gap", first.SequenceNumber, last.SequenceNumber)
	}
	for i := range uint16(60) {
		seqs = append(seqs, first.SequenceNumber-30+i)
	}
	for range 3 {
		if err := chi.WriteRTCP(&rtcp.TransportLayerNack{MediaSSRC: tr.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)}); err != nil {
			t.Fatal(err)
		}
	}
	again := 0
	for again < 30 { // so the requests have been answered
		p := chi.next(tr, nil)
		if string(p.Payload) == "secret" {
			t.Fatal("a muted packet was sent again")
		}
		if p.SequenceNumber == first.SequenceNumber {
			again = 30
		}
	}
}

// waitTick lets the other goroutines of a test go on for a moment.
func waitTick(t *testing.T) {
	t.Helper()
	tick := time.NewTimer(5 * time.Millisecond)
	defer tick.Stop()
	select {
	case <-tick.C:
	case <-t.Context().Done():
	}
}
