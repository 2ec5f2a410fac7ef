package client

import (
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/bench/media/camera"
	"commsd/bench/media/tally"
)

const (
	feedbackEvery = 100 * time.Millisecond // as Chromium does
	reportEvery   = 10                     // feedbacks
)

// measure measures what comes on conn until it closes, and tells the server
// what came until stop is closed. Its goroutines are loops'.
func measure(conn *connection, to *tally.Delays, loops *sync.WaitGroup, stop <-chan struct{}) {
	conn.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		loops.Go(func() { delays(conn.tap, remote, to) })
	})
	loops.Go(func() {
		tick := time.NewTicker(feedbackEvery)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			packets := conn.tap.feedback()
			if n%reportEvery == 0 {
				packets = append(packets, conn.tap.report()...)
			}
			if len(packets) > 0 {
				_ = conn.WriteRTCP(packets) // a connection that closes ends the loop by itself
			}
		}
	})
}

// delays reads the sample of a track.
func delays(t *tap, remote *webrtc.TrackRemote, to *tally.Delays) {
	buf := make([]byte, 1500)
	var h rtp.Header
	for {
		n, _, err := remote.Read(buf)
		if err != nil {
			return
		}
		at, err := h.Unmarshal(buf[:n])
		if err != nil || at > n {
			continue
		}
		sent, ok := camera.Stamped(buf[at:n])
		if !ok {
			continue
		}
		if arrived, ok := t.arrived(h.SSRC, h.SequenceNumber); ok {
			to.Add(time.Duration(arrived - sent))
		}
	}
}
