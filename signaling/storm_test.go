package signaling_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
)

// watcher is a socket of a client without media, which counts what it is told.
type watcher struct {
	ws       *websocket.Conn
	messages atomic.Int64 // of kind update
	bytes    atomic.Int64 // of all
}

// watch joins and reads until known, which gets each participant that is seen,
// says that it has seen enough, or the socket ends.
func (s *server) watch(t *testing.T, who string, known func(*lk.ParticipantInfo) (enough bool), done *sync.WaitGroup) *watcher {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.DialContext(ctx(t), s.ws+"/rtc?access_token="+token(t, who), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{ws: ws}
	t.Cleanup(func() { _ = ws.Close() })
	done.Go(func() {
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				t.Errorf("%s: %v", who, err)
				return
			}
			w.bytes.Add(int64(len(data)))
			m := &lk.SignalResponse{}
			if err := proto.Unmarshal(data, m); err != nil {
				t.Errorf("%s: %v", who, err)
				return
			}
			seen := m.GetUpdate().GetParticipants()
			if m.GetUpdate() != nil {
				w.messages.Add(1)
			}
			if j := m.GetJoin(); j != nil {
				seen = append(j.GetOtherParticipants(), j.GetParticipant())
			}
			for _, p := range seen {
				if known(p) {
					return
				}
			}
		}
	})
	return w
}

// Many who come at once are told of by few messages: in rooms beyond a few
// people changes gather for UpdateInterval.
func TestJoinStorm(t *testing.T) {
	const people = 200
	const interval = time.Second // long, so that a slow machine tells no more often
	s := serve(t, func(set *settings) { set.media.UpdateInterval = interval })
	start := time.Now()
	var done sync.WaitGroup
	var all []*watcher
	for i := range people {
		seen := make(map[string]bool)
		all = append(all, s.watch(t, fmt.Sprint("p", i), func(p *lk.ParticipantInfo) bool {
			seen[p.GetIdentity()] = true
			return len(seen) == people
		}, &done))
	}
	joined := time.Since(start)
	done.Wait()
	took := time.Since(start)
	var messages, bytes int64
	for _, w := range all {
		messages += w.messages.Load()
		bytes += w.bytes.Load()
	}
	t.Logf("%d joined within %v, all were known to all after %v: %d updates, %d KiB", people, joined, took, messages, bytes>>10)
	// Each of the first ten is told at once; after that one update an interval.
	most := int64(people) * (int64(took/interval) + 2)
	if most += 11 * 11; messages > most {
		t.Errorf("%d updates, more than %d; telling all of each would be %d", messages, most, people*people/2)
	}
}
