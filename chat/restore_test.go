package chat_test

import (
	"context"
	"fmt"
	"testing"

	"commsd/internal/sqldb"
)

// restore takes a conversation back to an earlier event, as a restored backup
// does under a running node.
func restore(t *testing.T, w *world, conv string, seq int64) {
	t.Helper()
	err := w.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []string{
			`DELETE FROM chat_event WHERE conversation_id = $1 AND seq > $2`,
			`UPDATE chat_conversation SET last_seq = $2, message_count = $2, last_event_id =
				(SELECT event_id FROM chat_event WHERE conversation_id = $1 AND seq = $2) WHERE id = $1`,
		} {
			if _, err := tx.Exec(ctx, q, conv, seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A node that runs on while its database is restored shows nothing that the
// database lacks.
func TestRestoredDatabase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node(fast)
		conv := n.direct("an", "chi")
		an, chi := n.peer("an").ready(), n.peer("chi").ready()
		for i := range 5 {
			an.send(conv, fmt.Sprint(i))
		}
		chi.reach(conv, 5)
		restore(t, w, conv, 2)
		chi.saw("reload")
		waitFor(t, "the log to shrink", func() bool { return len(chi.Log(conv)) == 2 })
		if ack := an.send(conv, "mới"); ack.Seq != 3 {
			t.Errorf("seq %d", ack.Seq)
		}
		chi.reach(conv, 3).wants(conv, "0", "1", "mới")

		// Another history of the same length.
		err := w.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			id := newID()
			if _, err := tx.Exec(ctx, `UPDATE chat_event SET event_id = $2, body = '{"text":"khác"}' WHERE conversation_id = $1 AND seq = 3`, conv, id); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE chat_conversation SET last_event_id = $2 WHERE id = $1`, conv, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the other history", func() bool { return fmt.Sprint(chi.texts(conv)) == "[0 1 khác]" })
	})
}

// A person whose own log has shrunk comes back with a new connection, and
// finds the memberships that are now.
func TestRestoredPerson(t *testing.T) {
	w := alone(t)
	n := w.node(fast)
	kept, lost := n.channel("an", "Còn", "chi"), n.channel("an", "Mất", "chi")
	chi, an := n.peer("chi").ready(), n.peer("an").ready()
	chi.reach(kept, 1).reach(lost, 1)
	err := w.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []string{
			`DELETE FROM chat_member WHERE person_id = 'p-chi' AND conversation_id = '` + lost + `'`,
			`DELETE FROM chat_person_event WHERE person_id = 'p-chi' AND seq > 1`,
			`UPDATE chat_person SET last_seq = 1, last_event_id =
				(SELECT event_id FROM chat_person_event WHERE person_id = 'p-chi' AND seq = 1) WHERE person_id = 'p-chi'`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a new connection", func() bool { return chi.Connects() > 1 })
	if ce := chi.Ended(); ce == nil || ce.Code != 4504 {
		t.Errorf("ended with %v", ce)
	}
	waitFor(t, "the lost conversation to go", func() bool { return !chi.Has(lost) })
	an.send(lost, "chỉ An")
	ack := an.send(kept, "cả hai")
	chi.reach(kept, ack.Seq)
	if chi.Has(lost) {
		t.Error("chi still hears the conversation that she is not in")
	}
}
