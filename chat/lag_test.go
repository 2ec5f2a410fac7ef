package chat_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"commsd/chat"
	"commsd/internal/testpeer/chatpeer"
	"commsd/internal/wsconn"
)

// hold keeps a peer from reading until it is let go.
type hold struct {
	mu   sync.Mutex
	gate chan struct{} // nil: open
}

func (h *hold) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = make(chan struct{})
}

func (h *hold) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		close(h.gate)
		h.gate = nil
	}
}

func (h *hold) pause() {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// A reader that does not keep up holds nobody up, is told so, and pulls what
// it missed.
func TestSlowReaderLagsAndRecovers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node(func(c *chat.Config) { c.Socket = wsconn.Config{QueueBytes: 64 << 10, WriteTimeout: patience} })
		conv, quiet := n.direct("an", "chi"), n.direct("chi", "dung")
		var h hold
		chi := n.peer("chi", func(c *chatpeer.Config) { c.ReadPause = h.pause }).ready()
		quick := n.peer("chi.2").ready()
		an := n.peer("an").ready()
		an.send(conv, "đầu")
		chi.reach(conv, 1)
		h.shut()
		t.Cleanup(h.open)
		const many = 80
		text := string(make16K()[:8<<10])
		for i := range many {
			an.send(conv, fmt.Sprint(i, " ", text))
		}
		quick.reach(conv, many+1) // is not held up
		h.open()
		lagging := chi.saw("lagging")
		if len(lagging.Conversations) != 1 || lagging.Conversations[0] != conv {
			t.Errorf("lagging: %s", lagging.Raw)
		}
		chi.reach(conv, many+1)
		if chi.Connects() != 1 {
			t.Errorf("%d connections", chi.Connects())
		}
		if got, want := chi.texts(conv), quick.texts(conv); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Error("the slow reader has another log")
		}
		chi.send(quiet, "vẫn nhanh")
	})
}

// A slow reader that asks for much gets all of it, at its own pace, on one
// connection.
func TestPullsWaitForRoom(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) { c.Socket = wsconn.Config{QueueBytes: 150 << 10, WriteTimeout: patience} })
	conv := n.direct("an", "chi")
	an := n.peer("an").ready()
	for range 10 {
		an.send(conv, string(make16K()))
	}
	s := n.dial("chi")
	s.hello()
	const pulls = 20 // each answered with more than 100 KiB
	for i := range pulls {
		s.write(fmt.Sprintf(`{"type":"pull","id":%d,"conversation":%q,"after":0}`, i+1, conv))
	}
	for i := range pulls {
		if m := s.next("events"); m["id"] != float64(i+1) || len(m["events"].([]any)) == 0 {
			t.Fatalf("answer %d: id %v with %d events", i, m["id"], len(m["events"].([]any)))
		}
	}
	s.write(`{"type":"ping","id":77}`)
	if m := s.next("pong"); m["id"] != 77.0 {
		t.Errorf("%v", m)
	}
}

// A client that reads nothing at all, not even the answers to what it sends,
// is closed; when it comes back everything is there once.
func TestDeafSenderIsClosed(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) {
		c.MaxCommands, c.MaxCommandBytes = 1<<20, 1<<30
		c.Socket = wsconn.Config{QueueBytes: 4 << 10, WriteTimeout: patience, CloseTimeout: patience}
	})
	conv := n.direct("an", "chi")
	s := n.dial("an")
	s.hello()
	closed := func() bool {
		families, err := w.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "commsd_chat_lagging_total" && m.GetCounter().GetValue() > 0 {
					return true
				}
			}
		}
		return false
	}
	sent := 0
	for !closed() {
		var frame []string
		for range 100 {
			frame = append(frame, fmt.Sprintf(`{"type":"send","id":%d,"conversation":%q,"client_id":%q,"body":{"text":"x"}}`, sent+1, conv, newID()))
			sent++
		}
		if sent > 50_000 {
			t.Fatal("the kernel takes it all")
		}
		s.write(strings.Join(frame, "\n"))
	}
	if got := s.ended(); got != 4503 {
		t.Errorf("closed with %d", got)
	}
	n.stop() // stores what was taken
	if page := events(t, n, "an", conv); len(page) == 0 || page[len(page)-1].Seq > int64(sent) {
		t.Errorf("%d events of %d messages", page[len(page)-1].Seq, sent)
	}
}
