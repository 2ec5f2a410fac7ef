package sfu_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// A server runs for months: people who come and go leave nothing behind, long
// before it ends.
func TestParticipantsLeaveNothingBehind(t *testing.T) {
	s := serve(t)
	visit := func(t *testing.T, network webrtc.NetworkType) {
		cfg := &meetingpeer.MediaConfig{Networks: []webrtc.NetworkType{network}}
		an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
		pub, _ := an.publish(camera("cam"))
		an.pump(pub, vp8)
		chi.next(chi.track(), nil)
	}
	stay := join(t, s, everything("other", "stay"), nil)
	stay.up()
	// The first visit warms what is kept on purpose.
	t.Run("first", func(t *testing.T) { visit(t, webrtc.NetworkTypeUDP4) })
	base := settle(t, 0)
	for range 8 {
		t.Run("udp", func(t *testing.T) { visit(t, webrtc.NetworkTypeUDP4) })
		t.Run("tcp", func(t *testing.T) { visit(t, webrtc.NetworkTypeTCP4) })
	}
	if left := settle(t, base); left > base+3 { // each visit has dozens
		buf := make([]byte, 1<<20)
		t.Fatalf("%d goroutines, %d before the visits\n%s", left, base, buf[:runtime.Stack(buf, true)])
	}
}

// A stream that begins before the offer that announces it, and stops, has two
// readers on Pion's side. Neither outlives the connection.
func TestEarlyStreamsEnd(t *testing.T) {
	if sfu.RaceEnabled {
		t.Skip("Pion's two readers race for what they peek at; make go-test runs this without")
	}
	bothForms(t, func(t *testing.T, cfg *meetingpeer.MediaConfig) {
		s := serve(t)
		visit := func(t *testing.T) {
			an := join(t, s, everything("r", "an"), cfg)
			up := make(chan struct{}, 2)
			an.Publisher().OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
				if s == webrtc.PeerConnectionStateConnected {
					up <- struct{}{}
				}
			})
			if an.Publisher().ConnectionState() == webrtc.PeerConnectionStateConnected { // before it was listened for
				up <- struct{}{}
			}
			mic := &early{bound: make(chan webrtc.TrackLocalContext, 1)}
			an.p.AddTrack(microphone("mic"))
			await(an, "its track", func(e sfu.EventTrackPublished) bool { return e.CID == "mic" })
			if _, err := an.Publisher().AddTransceiverFromTrack(mic, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
				t.Fatal(err)
			}
			an.negotiateNow()
			select {
			case <-up:
			case <-ctx(t).Done():
				t.Fatal("no connection")
			}
			own := <-mic.bound
			second := &early{bound: make(chan webrtc.TrackLocalContext, 1)}
			tr, err := an.Publisher().AddTransceiverFromTrack(second, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
			if err != nil {
				t.Fatal(err)
			}
			ssrc := tr.Sender().GetParameters().Encodings[0].SSRC
			for n := range uint16(3) {
				h := &rtp.Header{Version: 2, PayloadType: 111, SSRC: uint32(ssrc), SequenceNumber: n, Timestamp: uint32(n) * 960}
				if _, err := own.WriteStream().WriteRTP(h, []byte("sound")); err != nil {
					t.Fatal(err)
				}
			}
			an.negotiateNow()
		}
		t.Run("first", visit)
		base := settle(t, 0)
		for range 6 {
			t.Run("next", visit)
		}
		if left := settle(t, base); left > base+3 {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before the visits\n%s", left, base, buf[:runtime.Stack(buf, true)])
		}
	})
}

// early is a microphone that lets the test write to its connection.
type early struct {
	bound chan webrtc.TrackLocalContext
}

func (e *early) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	select {
	case e.bound <- c:
	default: // bound again
	}
	return c.CodecParameters()[0], nil
}

func (e *early) Unbind(webrtc.TrackLocalContext) error { return nil }
func (e *early) ID() string                            { return "early" }
func (e *early) RID() string                           { return "" }
func (e *early) StreamID() string                      { return "early" }
func (e *early) Kind() webrtc.RTPCodecType             { return webrtc.RTPCodecTypeAudio }

// settle waits until the number of goroutines is no more than want, or has not
// fallen for a while, and returns it.
func settle(t *testing.T, want int) int {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	least, still := runtime.NumGoroutine(), 0
	for still < 150 && least > want {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test is over")
		}
		if n := runtime.NumGoroutine(); n < least {
			least, still = n, 0
		} else {
			still++
		}
	}
	return least
}
