package sfu_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/rtp"

	"commsd/internal/testpeer/meetingpeer"
)

// A picture begins with a key frame that arrives: none is spent while the way to
// the subscriber is still being found, for the next would be long in coming.
func TestFirstPictureArrives(t *testing.T) {
	bothForms(t, func(t *testing.T, cfg *meetingpeer.MediaConfig) {
		s := serve(t)
		speaker := join(t, s, everything("r", "speaker"), nil)
		pub, _ := speaker.publish(camera("cam"))
		var asked atomic.Bool
		over, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			for pub.Request(over, isPLI) == nil {
				asked.Store(true)
			}
		})
		defer wg.Wait()
		defer stop()
		sent := make(chan struct{})
		speaker.pump(pub, func(n int) *rtp.Packet {
			select {
			case sent <- struct{}{}:
			default:
			}
			return meetingpeer.VP8(uint16(n), uint32(n)*3000, asked.Swap(false), fmt.Appendf(nil, "picture %d", n))
		})

		held := make(chan string, 64)
		var through atomic.Bool
		late := *cfg
		late.Candidate = func(init string) string {
			if through.Load() {
				return init
			}
			held <- init
			return ""
		}
		guest := join(t, s, everything("r", "guest"), &late)
		init := <-held
		for range 200 { // in which a key frame is asked for and comes, if it is
			<-sent
		}
		through.Store(true)
		if err := guest.HandleCandidate(!late.OneConnection, init); err != nil {
			t.Fatal(err)
		}
		if p := guest.next(guest.track(), nil); p.Payload[1]&1 != 0 {
			t.Errorf("begins with %q, which is no key frame", p.Payload[2:])
		}
	})
}
