package chat_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commsd/chat"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testpeer/chatpeer"
)

// Two nodes serve one conversation while Redis freezes, dies, is flushed and
// comes back: slower, and nothing is lost, doubled or reordered.
func TestRedisComesAndGoes(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.PostgreSQL(t)), true)
	away := func(c *chat.Config) { c.HeadsAway = 100 * time.Millisecond }
	a, b := w.node(away), w.node(away)
	conv := a.channel("an", "Chung", "binh", "chi", "dung")
	history := chatpeer.NewHistory()
	readers := []*peer{a.peer("an.2").ready(), b.peer("chi.2").ready()}
	var stopped atomic.Bool
	var sent atomic.Int64
	var sending sync.WaitGroup
	for i, who := range []string{"an", "binh", "chi", "dung"} {
		p := []*node{a, b}[i%2].peer(who).ready()
		sending.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
			defer cancel()
			for n := 0; !stopped.Load(); n++ {
				ack, err := p.Send(ctx, conv, fmt.Sprintf("%s %d", who, n))
				if err != nil {
					t.Error(err)
					return
				}
				history.Acked(who, ack)
				sent.Add(1)
				// Both nodes' readers keep up, or the outage would not be felt.
				if err := readers[(i+1)%2].Reached(ctx, conv, ack.Seq); err != nil {
					t.Errorf("message %d has not come to the other node: %v", ack.Seq, err)
					return
				}
			}
		})
	}
	more := func(what string) {
		t.Helper()
		from := sent.Load()
		waitFor(t, what, func() bool { return sent.Load() >= from+20 || t.Failed() })
	}
	more("messages with Redis")
	w.redis.Pause(t)
	more("messages with Redis frozen")
	w.redis.Stop(t)
	waitFor(t, "the nodes to notice", func() bool { return !a.bus.Healthy() && !b.bus.Healthy() })
	more("messages without Redis")
	w.redis.Start(t)
	waitFor(t, "Redis to be found again", func() bool { return a.bus.Healthy() && b.bus.Healthy() })
	more("messages with Redis again")
	w.redis.Flush(t)
	more("messages after a flush")
	stopped.Store(true)
	sending.Wait()
	for i, r := range readers {
		r.reach(conv, 1+sent.Load())
		for _, fault := range history.Check(fmt.Sprint("reader ", i), r.Log(conv)) {
			t.Error(fault)
		}
	}
}

// Connections to the database break under the senders, some between a commit
// and its answer: a message whose fate nobody knows is sent again, and is
// there once.
func TestDatabaseConnectionsBreak(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.PostgreSQL(t)), false)
	often := func(c *chat.Config) { c.HeadsAway = 100 * time.Millisecond }
	a, b := w.node(often), w.node(often)
	conv := a.channel("an", "Chung", "binh", "chi", "dung")
	history := chatpeer.NewHistory()
	readers := []*peer{a.peer("an.2").ready(), b.peer("chi.2").ready()}
	var stopped atomic.Bool
	var sent atomic.Int64
	var sending sync.WaitGroup
	for i, who := range []string{"an", "binh", "chi", "dung"} {
		p := []*node{a, b}[i%2].peer(who).ready()
		sending.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
			defer cancel()
			for n := 0; !stopped.Load(); n++ {
				ack, err := p.Send(ctx, conv, fmt.Sprintf("%s %d", who, n))
				if err != nil {
					t.Error(err)
					return
				}
				history.Acked(who, ack)
				sent.Add(1)
			}
		})
	}
	for range 5 {
		from := sent.Load()
		waitFor(t, "messages", func() bool { return sent.Load() >= from+20 || t.Failed() })
		// The connection that asks is spared; its own answer would be lost. The
		// pool may still hold some of those that were broken before.
		waitFor(t, "a connection to break the others by", func() bool {
			err := w.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND pid <> pg_backend_pid()`)
				return err
			})
			if err != nil && errcode.Of(err) != errcode.Unavailable {
				t.Error(err)
			}
			return err == nil || t.Failed()
		})
	}
	stopped.Store(true)
	sending.Wait()
	for i, r := range readers {
		r.reach(conv, 1+sent.Load())
		for _, fault := range history.Check(fmt.Sprint("reader ", i), r.Log(conv)) {
			t.Error(fault)
		}
	}
}

// After a restart everybody comes at once; all are let in, a few at a time.
func TestReconnectStorm(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) { c.MaxHellos = 2 })
	conv := n.channel("an", "Đông", "binh", "chi", "dung")
	var peers []*peer
	for i := range 60 {
		peers = append(peers, n.peer(fmt.Sprintf("%s.%d", []string{"an", "binh", "chi", "dung"}[i%4], i)))
	}
	for _, p := range peers {
		p.ready()
	}
	for _, p := range peers {
		p.Break()
	}
	ack := n.peer("an").ready().send(conv, "Chào mọi người")
	for _, p := range peers {
		p.reach(conv, ack.Seq)
	}
}
