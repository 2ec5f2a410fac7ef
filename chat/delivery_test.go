package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"commsd/chat"
	"commsd/internal/bus"
	"commsd/internal/testpeer/chatpeer"
)

// fast checks heads often, for tests in which the bus loses something.
func fast(c *chat.Config) { c.HeadsEvery, c.HeadsAway = 50*time.Millisecond, 20*time.Millisecond }

// Two people on two nodes: each message reaches everybody once and in order.
func TestMessagesReachAllNodes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node(fast)
		conv := a.direct("an", "chi")
		an, chi := a.peer("an").ready(), b.peer("chi").ready()
		if ack := an.send(conv, "Chào chị Chi"); ack.Seq != 1 {
			t.Errorf("seq %d", ack.Seq)
		}
		chi.reach(conv, 1)
		if ack := chi.send(conv, "Chào anh An"); ack.Seq != 2 {
			t.Errorf("seq %d", ack.Seq)
		}
		for _, p := range []*peer{an, chi} {
			p.reach(conv, 2).wants(conv, "Chào chị Chi", "Chào anh An")
			first := p.Log(conv)[0]
			if first.Sender != "p-an" || first.SenderName != "Họ an" || first.Kind != "message" || first.Count != 1 || first.At.IsZero() {
				t.Errorf("first event: %+v", first)
			}
		}
	})
}

// The same client id is one message, however often, over whichever node, and
// even at once.
func TestResendIsIdempotent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		conv := a.direct("an", "chi")
		one, two := a.peer("an").ready(), b.peer("an").ready()
		id := newID()
		var mu sync.Mutex
		var acks []chatpeer.Ack
		var sending sync.WaitGroup
		for _, p := range []*peer{one, two, one, two} {
			sending.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				ack, err := p.SendAs(ctx, conv, id, "một lần thôi")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				acks = append(acks, ack)
				mu.Unlock()
			})
		}
		sending.Wait()
		for _, ack := range acks {
			if ack != acks[0] || ack.Seq != 1 {
				t.Errorf("acks differ: %+v and %+v", ack, acks[0])
			}
		}
		if got := events(t, b, "chi", conv); len(got) != 1 {
			t.Errorf("%d events", len(got))
		}
		// Another text under the same id changes nothing.
		one.wait("send", func(ctx context.Context) error {
			ack, err := one.SendAs(ctx, conv, id, "khác")
			if err == nil && ack != acks[0] {
				t.Errorf("ack %+v", ack)
			}
			return err
		})
		// The id belongs to its sender: another person's is another message.
		chi := b.peer("chi").ready()
		chi.wait("send", func(ctx context.Context) error {
			ack, err := chi.SendAs(ctx, conv, id, "của Chi")
			if err == nil && ack.Seq != 2 {
				t.Errorf("ack %+v", ack)
			}
			return err
		})
		chi.reach(conv, 2).wants(conv, "một lần thôi", "của Chi")
	})
}

// Many senders on two nodes, in two conversations, while connections break.
func TestConcurrentSendersLoseNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(fast), w.node(fast)
		convs := []string{a.channel("an", "Một", "binh", "chi", "dung"), a.channel("an", "Hai", "binh", "chi", "dung")}
		histories := map[string]*chatpeer.History{convs[0]: chatpeer.NewHistory(), convs[1]: chatpeer.NewHistory()}
		readers := []*peer{a.peer("an").ready(), b.peer("dung").ready()}
		var sending sync.WaitGroup
		const each = 40
		for i, who := range []string{"an", "binh", "chi", "dung"} {
			p := []*node{a, b}[i%2].peer(who).ready()
			for _, conv := range convs {
				sending.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
					defer cancel()
					for m := range each {
						ack, err := p.Send(ctx, conv, fmt.Sprintf("%s %d", who, m))
						if err != nil {
							t.Error(err)
							return
						}
						histories[conv].Acked(who, ack)
						if m%15 == 14 {
							p.Break()
						}
					}
				})
			}
		}
		sending.Wait()
		for _, conv := range convs {
			for _, r := range readers {
				r.reach(conv, 1+4*each)
				for _, fault := range histories[conv].Check("reader", r.Log(conv)) {
					t.Error(fault)
				}
			}
		}
	})
}

// Who was away pulls what came meanwhile, page by page where it is much, from
// memory and from SQL alike.
func TestResume(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(func(c *chat.Config) { c.Memory = 20 }), w.node()
		conv := a.direct("an", "chi")
		an, chi := a.peer("an").ready(), b.peer("chi").ready()
		an.send(conv, "0")
		chi.reach(conv, 1)
		kept := chi.Log(conv)
		chi.leave()
		const missed = 250 // more than one pull
		for i := range missed {
			an.send(conv, fmt.Sprint(i+1))
		}
		last := events(t, a, "an", conv)
		again := b.peer("chi", func(c *chatpeer.Config) { c.Resume = map[string][]chatpeer.Event{conv: kept} }).ready()
		again.reach(conv, missed+1)
		if log := again.Log(conv); log[0].EventID != kept[0].EventID || log[missed].EventID != last[len(last)-1].EventID {
			t.Error("what was resumed is not what was sent")
		}
		// The node's memory serves a short absence.
		an.Break()
		chi2 := again.send(conv, "ngắn")
		an.reach(conv, chi2.Seq)
	})
}

// Cursors of another history make the client load the conversation anew.
func TestWrongCursorsReload(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node()
		conv, other := n.direct("an", "chi"), n.direct("an", "dung")
		an := n.peer("an").ready()
		for i := range 3 {
			an.send(conv, fmt.Sprint(i))
			an.send(other, fmt.Sprint(i))
		}
		an.reach(conv, 3).reach(other, 3)
		good := an.Log(conv)[1]
		hello := func(cursors object, more ...any) object {
			t.Helper()
			s := n.dial("an")
			m := object{"type": "hello", "id": 1, "protocol": 1, "cursors": cursors}
			for i := 0; i < len(more); i += 2 {
				m[more[i].(string)] = more[i+1]
			}
			if err := s.ws.WriteJSON(m); err != nil {
				t.Fatal(err)
			}
			return s.next("welcome")
		}
		for name, c := range map[string]struct {
			cursor object
			reload bool
			heads  int // other is always behind
		}{
			"at the head":    {object{"seq": 3, "event_id": an.Log(conv)[2].EventID}, false, 1},
			"behind":         {object{"seq": 2, "event_id": good.EventID}, false, 2},
			"at nothing":     {object{"seq": 0, "event_id": ""}, false, 2},
			"past the head":  {object{"seq": 9, "event_id": newID()}, true, 2},
			"another event":  {object{"seq": 2, "event_id": newID()}, true, 2},
			"another head":   {object{"seq": 3, "event_id": newID()}, true, 2},
			"without its id": {object{"seq": 2}, true, 2},
		} {
			m := hello(object{conv: c.cursor})
			reload, _ := m["reload"].([]any)
			if got := slices.Contains(reload, any(conv)); got != c.reload || len(m["heads"].([]any)) != c.heads {
				t.Errorf("%s: %v", name, m)
			}
		}
		nowhere := newID()
		m := hello(object{nowhere: object{"seq": 1, "event_id": newID()}})
		if gone, _ := m["gone"].([]any); len(gone) != 1 || gone[0] != nowhere {
			t.Errorf("a conversation one is not in: %v", m)
		}
		// The person's own log likewise; An has two events: joined two conversations.
		seq := m["user_seq"].(float64)
		for name, c := range map[string]struct {
			seq    float64
			id     any
			reload bool
		}{
			"at the head":   {seq, m["user_event_id"], false},
			"past the head": {seq + 1, newID(), true},
			"another event": {seq, newID(), true},
		} {
			if m := hello(object{}, "user_seq", c.seq, "user_event_id", c.id); (m["user_reload"] == true) != c.reload {
				t.Errorf("the person's log, %s: %v", name, m)
			}
		}
		// A peer with a wrong history ends with the right one.
		wrong := an.Log(conv)
		wrong[2].EventID = newID()
		mended := n.peer("an", func(c *chatpeer.Config) { c.Resume = map[string][]chatpeer.Event{conv: wrong} }).ready()
		mended.reach(conv, 3)
		if got := mended.Log(conv)[2].EventID; got == wrong[2].EventID {
			t.Error("the wrong event is still there")
		}
	})
}

func TestPullBothWays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node() // b has seen none of it
		conv := a.direct("an", "chi")
		an := a.peer("an").ready()
		for i := range 10 {
			an.send(conv, fmt.Sprint(i))
		}
		for name, p := range map[string]*peer{"memory": an, "sql": b.peer("an").ready()} {
			for _, c := range []struct {
				cmd  object
				want []int64
			}{
				{object{"after": 0, "limit": 3}, []int64{1, 2, 3}},
				{object{"after": 7}, []int64{8, 9, 10}},
				{object{"after": 10}, nil},
				{object{"after": 99}, nil},
				{object{"before": 4}, []int64{1, 2, 3}},
				{object{"before": 8, "limit": 2}, []int64{6, 7}},
				{object{"before": 99, "limit": 2}, []int64{9, 10}},
				{object{"before": 1}, nil},
			} {
				cmd := object{"type": "pull", "conversation": conv}
				for k, v := range c.cmd {
					cmd[k] = v
				}
				f := p.ask(cmd)
				var got []int64
				for _, raw := range f.Events {
					got = append(got, seqOf(t, raw))
				}
				if f.Type != "events" || f.Conversation != conv || f.Head != 10 || !slices.Equal(got, c.want) {
					t.Errorf("%s: pull %v answers %d with head %d, want %d", name, c.cmd, got, f.Head, c.want)
				}
			}
		}
	})
}

func seqOf(t *testing.T, raw []byte) int64 {
	t.Helper()
	var e struct{ Seq int64 }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Seq
}

// A pull of many large messages comes in pages that fit the queue.
func TestLargePullsComeInPages(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) { c.Memory = 1 })
	conv := n.direct("an", "chi")
	an := n.peer("an").ready()
	for range 20 {
		an.send(conv, string(make16K()))
	}
	chi := n.peer("chi").ready().reach(conv, 20)
	f := chi.ask(object{"type": "pull", "conversation": conv, "after": 0, "limit": 200})
	if len(f.Events) == 0 || len(f.Events) >= 20 || len(f.Raw) > 200<<10 {
		t.Errorf("%d events in %d bytes", len(f.Events), len(f.Raw))
	}
	f = chi.ask(object{"type": "pull", "conversation": conv, "before": 21, "limit": 200})
	if len(f.Events) == 0 || len(f.Events) >= 20 || seqOf(t, f.Events[len(f.Events)-1]) != 20 {
		t.Errorf("%d events before the end, the last %d", len(f.Events), seqOf(t, f.Events[len(f.Events)-1]))
	}
}

func make16K() []byte {
	b := make([]byte, 16<<10)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

// lossy is a bus that loses what its node publishes, and says nothing of it.
type lossy struct {
	bus.Bus
	mu      sync.Mutex
	lose    func(n int) bool
	n       int
	healthy bool
}

func (l *lossy) Publish(ctx context.Context, topic string, payload []byte) error {
	l.mu.Lock()
	l.n++
	lost := l.lose(l.n)
	l.mu.Unlock()
	if lost {
		return nil
	}
	return l.Bus.Publish(ctx, topic, payload)
}

func (l *lossy) Healthy() bool { return l.healthy }

// Whatever the bus loses is read from SQL: at the next event, by the check of
// heads now and then, or by polling while the bus is known to be away.
func TestLostHintsAreMadeGood(t *testing.T) {
	for name, c := range map[string]struct {
		lose    func(n int) bool
		healthy bool
		edit    func(*chat.Config)
	}{
		"the first ten, then the next event tells": {func(n int) bool { return n <= 10 }, true, func(*chat.Config) {}},
		"all, checked now and then":                {func(int) bool { return true }, true, fast},
		"all, away":                                {func(int) bool { return true }, false, func(c *chat.Config) { c.HeadsAway = 20 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			w := alone(t)
			a := w.node(func(cfg *chat.Config) { cfg.Bus = &lossy{Bus: cfg.Bus, lose: c.lose, healthy: c.healthy} })
			b := w.node(c.edit, func(cfg *chat.Config) {
				cfg.Bus = &lossy{Bus: cfg.Bus, lose: func(int) bool { return false }, healthy: c.healthy}
			})
			conv := a.direct("an", "chi")
			an, chi := a.peer("an").ready(), b.peer("chi").ready()
			for i := range 12 {
				an.send(conv, fmt.Sprint(i))
			}
			chi.reach(conv, 12)
			// A conversation opened meanwhile is found, too.
			dung := a.channel("dung", "Mới", "chi")
			a.peer("dung").ready().send(dung, "x")
			chi.reach(dung, 2)
		})
	}
}

// The head of an answer counts all that was pushed before it, or a client that
// saw a gap while it waited for the answer would not know to pull again.
func TestPageCountsWhatWasPushedBefore(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) { c.Memory = 10 })
	conv := n.direct("an", "chi")
	chi := n.dial("chi")
	chi.hello()
	done := make(chan struct{})
	an := n.peer("an").ready()
	const many = 150
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for i := range many {
			if _, err := an.Send(ctx, conv, fmt.Sprint(i)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	ask := func(i int) { // from memory, and from SQL
		end := []string{`"after":` + fmt.Sprint(max(0, i-5)), `"before":5`}[i%2]
		chi.write(fmt.Sprintf(`{"type":"pull","id":%d,"conversation":%q,"limit":1,%s}`, i+1, conv, end))
	}
	ask(0)
	answers := 0
	for pushed := 0.0; pushed < many; {
		m := chi.any()
		switch m["type"] {
		case "event":
			pushed = m["seq"].(float64)
		case "events":
			if answers++; m["head"].(float64) < pushed {
				t.Fatalf("answer %d says head %v after event %v", answers, m["head"], pushed)
			}
			ask(int(pushed) + answers%2)
		}
	}
	<-done
	if answers < 10 {
		t.Errorf("only %d answers", answers)
	}
}
