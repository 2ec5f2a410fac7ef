package store_test

import (
	"testing"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/mail/mailtest"
	"commsd/mail/store"
)

func TestChangeMessages(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		st := mailtest.Store(t, db)
		for range 4 {
			mailtest.Put(t, st, mailtest.ChiActor, letter)
		}
		inbox, archive, trash := open(t, st, store.RoleInbox), open(t, st, store.RoleArchive), open(t, st, store.RoleTrash)
		_, err := st.Copy(ctx, inbox.Mailbox, []uint32{1, 2}, archive.Mailbox)
		ok(t, err)
		rows, err := st.Rows(ctx, inbox.Mailbox, []uint32{1, 2, 3, 4})
		ok(t, err)
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.Message)
		}

		// One that is not there: nothing happens to the others.
		coded(t, st.ChangeMessages(ctx, inbox.Store, []string{ids[0], "none"}, store.MessageChange{Set: store.Seen}), errcode.NotFound)
		mailtest.Put(t, st, mailtest.AnActor, letter)
		coded(t, st.ChangeMessages(ctx, mailtest.Mailbox(t, st, mailtest.AnActor, store.RoleInbox).Store, ids[:1], store.MessageChange{MoveTo: &trash.Mailbox}), errcode.NotFound)
		coded(t, st.ChangeMessages(ctx, inbox.Store, ids[2:], store.MessageChange{From: archive.ID, Set: store.Seen}), errcode.NotFound)
		if box := open(t, st, store.RoleInbox); box.Unseen != 4 {
			t.Fatalf("%d unseen", box.Unseen)
		}

		ok(t, st.ChangeMessages(ctx, inbox.Store, ids[:3], store.MessageChange{Set: store.Seen | store.Flagged}))
		ok(t, st.ChangeMessages(ctx, inbox.Store, ids[:1], store.MessageChange{From: inbox.ID, Clear: store.Flagged, MoveTo: &trash.Mailbox, Erase: true}))
		inbox.check(2, 3, 4)
		archive.check(1, 2) // left as it was
		trash.check(1)
		thrown, err := st.Rows(ctx, trash.Mailbox, []uint32{1})
		ok(t, err)
		if thrown[0].Flags != store.Seen || thrown[0].Message != ids[0] {
			t.Fatalf("thrown away as %+v", thrown)
		}

		// From everywhere: one copy comes to the trash, whatever held it.
		ok(t, st.ChangeMessages(ctx, inbox.Store, ids[1:2], store.MessageChange{MoveTo: &trash.Mailbox, Erase: true}))
		inbox.check(3, 4)
		archive.check(1)
		trash.check(1, 2)
		ok(t, st.ChangeMessages(ctx, inbox.Store, ids[:2], store.MessageChange{From: trash.ID, MoveTo: &inbox.Mailbox})) // undo
		inbox.check(3, 4, 5, 6)
		trash.check()
		ok(t, st.ChangeMessages(ctx, inbox.Store, ids[1:], store.MessageChange{MoveTo: &inbox.Mailbox})) // where they are
		inbox.check(3, 4, 5, 6)

		// Twice thrown away is gone.
		for range 2 {
			ok(t, st.ChangeMessages(ctx, inbox.Store, ids[3:], store.MessageChange{MoveTo: &trash.Mailbox, Erase: true}))
		}
		trash.check()
		_, _, err = st.Message(ctx, inbox.Store, ids[3])
		coded(t, err, errcode.NotFound)
	})
}
