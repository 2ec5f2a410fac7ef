package chat_test

import (
	"context"
	"slices"
	"testing"

	"commsd/audit"
	"commsd/chat"
	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/testpeer/chatpeer"
)

// Who is not a member learns nothing, on no path, and whether the conversation
// exists neither.
func TestOutsidersSeeNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node()
		conv := n.channel("an", "Kín", "binh")
		an := n.peer("an").ready()
		an.send(conv, "bí mật")
		chi := n.peer("chi").ready()
		nowhere := newID()
		for _, id := range []string{conv, nowhere} {
			for _, c := range []struct {
				method, path string
				body         any
			}{
				{"GET", "/conversations/" + id, nil},
				{"GET", "/conversations/" + id + "/events", nil},
				{"PATCH", "/conversations/" + id, object{"title": "Mở"}},
				{"POST", "/conversations/" + id + "/members", object{"people": []string{pid("chi")}}},
				{"DELETE", "/conversations/" + id + "/members/" + pid("binh"), nil},
			} {
				if status, raw := n.call("chi", c.method, c.path, c.body, nil); status != 404 {
					t.Errorf("%s %s answers %d: %s", c.method, c.path, status, raw)
				}
			}
			for _, cmd := range []object{
				{"type": "send", "client_id": newID(), "body": object{"text": "x"}},
				{"type": "pull", "after": 0},
				{"type": "pull", "before": 9},
				{"type": "read", "seq": 1},
			} {
				cmd["conversation"] = id
				if f := chi.ask(cmd); f.Type != "error" || f.Code != "not_found" {
					t.Errorf("%v answers %s", cmd, f.Raw)
				}
			}
		}
		if status, _ := n.call("chi", "GET", "/conversations/no-id/events", nil, nil); status != 404 {
			t.Errorf("an id that is none: %d", status)
		}
		var list struct{ Conversations []chat.Conversation }
		n.must(200, "chi", "GET", "/conversations", nil, &list)
		if len(list.Conversations) != 0 {
			t.Errorf("chi's list: %+v", list.Conversations)
		}
		// Typing by an outsider is shown to nobody; a member's is, to those who look.
		an.ask(object{"type": "ping"})
		an.Tell(object{"type": "look", "conversation": conv})
		an.ask(object{"type": "ping"}) // look is done
		chi.Tell(object{"type": "typing", "conversation": conv})
		chi.ask(object{"type": "ping"})
		binh := n.peer("binh").ready()
		binh.Tell(object{"type": "typing", "conversation": conv})
		if f := an.saw("typing"); f.Conversation != conv || string(f.Person) != `"p-binh"` {
			t.Errorf("typing: %s", f.Raw)
		}
		if chi.Has(conv) {
			t.Error("chi's socket has the conversation")
		}
	})
}

// From the event of the removal on, nothing more reaches the one removed, on
// whichever node.
func TestRemovedSeesNothingFurther(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		conv := a.channel("an", "Dự án", "binh", "chi")
		an, chi, binh := a.peer("an").ready(), b.peer("chi").ready(), b.peer("binh").ready()
		sent := chi.send(conv, "còn ở đây")
		binh.reach(conv, sent.Seq)
		b.must(204, "an", "DELETE", "/conversations/"+conv+"/members/"+pid("chi"), nil, nil)
		left := chi.personReached("conversation.left")
		if string(left.Body) != `{"conversation":"`+conv+`"}` {
			t.Errorf("told: %s", left.Body)
		}
		after := an.send(conv, "không cho Chi")
		binh.reach(conv, after.Seq) // this node has delivered it
		if log := chi.Log(conv); len(log) != int(sent.Seq) {
			t.Errorf("chi has %d events, want those before the removal, %d", len(log), sent.Seq)
		}
		for _, cmd := range []object{{"type": "pull", "after": 0}, {"type": "pull", "before": 9}, {"type": "read", "seq": 3}} {
			cmd["conversation"] = conv
			if f := chi.ask(cmd); f.Code != "not_found" {
				t.Errorf("%v answers %s", cmd, f.Raw)
			}
		}
		if got := chi.refused(conv, "tôi còn đây"); got != "not_found" {
			t.Errorf("sending: %s", got)
		}
		// What was acknowledged stays acknowledged.
		chi.wait("resend", func(ctx context.Context) error {
			ack, err := chi.SendAs(ctx, conv, sent.ClientID, "còn ở đây")
			if err == nil && ack != sent {
				t.Errorf("resent: %+v, want %+v", ack, sent)
			}
			return err
		})
		if m := helloWith(t, b, "chi", conv, sent); len(m["gone"].([]any)) != 1 {
			t.Errorf("welcome: %v", m)
		}
		if status, _ := b.call("chi", "GET", "/conversations/"+conv+"/events", nil, nil); status != 404 {
			t.Errorf("events over HTTP: %d", status)
		}

		// Back again: the history is there, and what was written before is no debt.
		b.must(200, "binh", "POST", "/conversations/"+conv+"/members", object{"people": []string{pid("chi"), pid("an")}}, nil)
		if c := b.get("chi", conv); c.Unread != 0 || c.ReadSeq != c.Seq || c.MemberCount != 3 {
			t.Errorf("after coming back: %+v", c)
		}
		again := an.send(conv, "Chào lại")
		chi.reach(conv, again.Seq)
		if c := b.get("chi", conv); c.Unread != 1 {
			t.Errorf("unread %d", c.Unread)
		}
	})
}

func helloWith(t *testing.T, n *node, token, conv string, at chatpeer.Ack) object {
	t.Helper()
	s := n.dial(token)
	if err := s.ws.WriteJSON(object{"type": "hello", "id": 1, "protocol": 1,
		"cursors": object{conv: object{"seq": at.Seq, "event_id": at.EventID}}}); err != nil {
		t.Fatal(err)
	}
	return s.next("welcome")
}

// Somebody added finds the conversation at once on any node, and each of the
// changes is an event of its log.
func TestChannelsChange(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		chi := b.peer("chi").ready()
		conv := a.channel("an", " Tổ   công tác ", "binh")
		binh := a.peer("binh").ready()
		if c := a.get("binh", conv); c.Title != "Tổ công tác" || c.Kind != "channel" || c.Owner || c.MemberCount != 2 || c.AgencyID != "a-1" {
			t.Errorf("channel: %+v", c)
		}
		a.must(200, "binh", "PATCH", "/conversations/"+conv, object{"title": "Tổ 1"}, nil)
		a.must(200, "binh", "PATCH", "/conversations/"+conv, object{"title": "Tổ 1"}, nil) // changes nothing
		a.must(200, "binh", "POST", "/conversations/"+conv+"/members", object{"people": []string{pid("chi"), pid("binh")}}, nil)
		chi.reach(conv, 3)
		var kinds []string
		for _, e := range chi.Log(conv) {
			kinds = append(kinds, e.Kind+" "+string(e.Body))
		}
		if want := []string{
			`member.joined {"people":[{"id":"p-an","name":"Họ an"},{"id":"p-binh","name":"Họ binh"}]}`,
			`conversation.renamed {"title":"Tổ 1"}`,
			`member.joined {"people":[{"id":"p-chi","name":"Họ chi"}]}`,
		}; !slices.Equal(kinds, want) {
			t.Errorf("log: %q", kinds)
		}
		chi.send(conv, "Tôi đã vào")
		binh.reach(conv, 4)

		// Members may not take others out; owners may, and everybody themselves.
		if status, _ := a.call("binh", "DELETE", "/conversations/"+conv+"/members/"+pid("chi"), nil, nil); status != 403 {
			t.Errorf("a member takes another out: %d", status)
		}
		a.must(204, "an", "DELETE", "/conversations/"+conv+"/members/"+pid("stranger"), nil, nil) // was none
		a.must(204, "an", "DELETE", "/conversations/"+conv+"/members/"+pid("an"), nil, nil)
		if c := a.get("binh", conv); !c.Owner || c.MemberCount != 2 {
			t.Errorf("the member of longest standing inherits: %+v", c)
		}
		a.must(204, "binh", "DELETE", "/conversations/"+conv+"/members/"+pid("chi"), nil, nil)

		want := []string{"chat.create_channel OK", "chat.add_members OK", "conversation.write ", "chat.remove_member OK", "chat.remove_member OK"}
		if got := audited(t, w, conv); !slices.Equal(got, want) {
			t.Errorf("audit: %q", got)
		}
	})
}

func audited(t *testing.T, w *world, conv string) []string {
	t.Helper()
	var got []string
	err := w.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		entries, err := audit.New(audit.Config{}).List(ctx, tx, audit.Filter{Object: identity.ObjectRef{Kind: "conversation", ID: conv}})
		for _, e := range entries {
			got = append(got, string(e.Action)+" "+map[bool]string{true: "OK"}[e.Outcome == audit.OK])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestConversationsThatCannotBe(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) { c.MaxMembers = 3 })
	w.with(func() { w.mute[pid("mute")] = true })
	direct := n.direct("an", "chi")
	channel := n.channel("an", "Đủ", "binh", "chi")
	people := func(who ...string) []string {
		ids := []string{}
		for _, p := range who {
			ids = append(ids, pid(p))
		}
		return ids
	}
	for name, c := range map[string]struct {
		method, path string
		body         object
		want         int
	}{
		"with oneself":        {"POST", "", object{"kind": "direct", "person": pid("an")}, 422},
		"with nobody":         {"POST", "", object{"kind": "direct"}, 422},
		"with a stranger":     {"POST", "", object{"kind": "direct", "person": pid("stranger")}, 404},
		"with no account":     {"POST", "", object{"kind": "direct", "person": pid("mute")}, 409},
		"of no kind":          {"POST", "", object{"kind": "crowd"}, 422},
		"without a title":     {"POST", "", object{"kind": "channel", "title": " \t"}, 422},
		"title of nothing":    {"POST", "", object{"kind": "channel", "title": "\u200b\u3164"}, 422},
		"title too long":      {"POST", "", object{"kind": "channel", "title": longTitle()}, 422},
		"title with a bell":   {"POST", "", object{"kind": "channel", "title": "a\ab"}, 422},
		"title that turns":    {"POST", "", object{"kind": "channel", "title": "a\u202eb"}, 422},
		"too many people":     {"POST", "", object{"kind": "channel", "title": "x", "people": people("a", "b", "c")}, 413},
		"channel of strange":  {"POST", "", object{"kind": "channel", "title": "x", "people": people("stranger")}, 404},
		"one too many":        {"POST", "/" + channel + "/members", object{"people": people("dung")}, 413},
		"a direct with three": {"POST", "/" + direct + "/members", object{"people": people("dung")}, 409},
		"a direct renamed":    {"PATCH", "/" + direct, object{"title": "x"}, 409},
		"a direct left":       {"DELETE", "/" + direct + "/members/" + pid("an"), nil, 409},
	} {
		var body any
		if c.body != nil {
			body = c.body
		}
		if status, raw := n.call("an", c.method, "/conversations"+c.path, body, nil); status != c.want {
			t.Errorf("%s: %d, want %d: %s", name, status, c.want, raw)
		}
	}
	var list struct{ Conversations []chat.Conversation }
	n.must(200, "an", "GET", "/conversations", nil, &list)
	if len(list.Conversations) != 2 {
		t.Errorf("%d conversations were made", len(list.Conversations))
	}
	// There is one direct conversation for a pair, and it stays readable when
	// the other has no account any more.
	w.with(func() { w.mute[pid("chi")] = true })
	if got := n.direct("an", "chi"); got != direct {
		t.Error("a second direct conversation")
	}
	w.with(func() { w.mute[pid("chi")] = false })
	if got := n.direct("chi", "an"); got != direct {
		t.Error("another conversation the other way round")
	}
}

func longTitle() string {
	b := make([]rune, 121)
	for i := range b {
		b[i] = 'ế'
	}
	return string(b)
}

// Read marks go forward only, and all devices of a person agree on them.
func TestReadMarksStayInStep(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		conv, other := a.direct("an", "chi"), a.direct("an", "dung")
		an := a.peer("an").ready()
		page, phone := a.peer("chi").ready(), b.peer("chi.2").ready()
		for _, text := range []string{"một", "hai", "ba"} {
			an.send(conv, text)
		}
		an.send(other, "việc khác")
		unread := func(token string, messages, conversations int64) {
			t.Helper()
			var sum struct{ Unread, Conversations int64 }
			b.must(200, token, "GET", "/summary", nil, &sum)
			if sum.Unread != messages || sum.Conversations != conversations {
				t.Errorf("%s has %+v unread, want %d in %d", token, sum, messages, conversations)
			}
		}
		unread("chi", 3, 1)
		unread("an", 0, 0) // who writes has read
		page.reach(conv, 3)
		if f := page.ask(object{"type": "read", "conversation": conv, "seq": 2}); f.Type != "ok" {
			t.Errorf("read: %s", f.Raw)
		}
		want := `{"conversation":"` + conv + `","seq":2,"count":2}`
		for _, p := range []*peer{page, phone} {
			if e := p.personReached("read"); string(e.Body) != want {
				t.Errorf("read mark %s, want %s", e.Body, want)
			}
		}
		unread("chi", 1, 1)
		// Back, again, or further than there is.
		for _, seq := range []int{1, 2, 0} {
			page.ask(object{"type": "read", "conversation": conv, "seq": seq})
		}
		if c := b.get("chi.2", conv); c.ReadSeq != 2 || c.ReadCount != 2 || c.Unread != 1 || c.Count != 3 {
			t.Errorf("conversation: %+v", c)
		}
		page.ask(object{"type": "read", "conversation": conv, "seq": 99})
		phone.wait("the last mark", func(ctx context.Context) error {
			_, err := phone.PersonWhere(ctx, func(e chatpeer.PersonEvent) bool {
				return string(e.Body) == `{"conversation":"`+conv+`","seq":3,"count":3}`
			})
			return err
		})
		unread("chi", 0, 0)
		// One's own answer marks what came before as read.
		an.send(conv, "bốn")
		unread("chi", 1, 1)
		phone.send(conv, "năm")
		unread("chi", 0, 0)
		unread("an", 1, 1)
	})
}

// The list is newest first and shows what a page needs at a glance.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node()
		first, second := n.direct("an", "chi"), n.channel("chi", "Họp giao ban", "an", "binh")
		an := n.peer("an").ready()
		an.send(second, "mới hơn")
		an.send(first, "mới nhất")
		var list struct {
			UserSeq       int64 `json:"user_seq"`
			Conversations []chat.Conversation
		}
		n.must(200, "an", "GET", "/conversations", nil, &list)
		if len(list.Conversations) != 2 || list.UserSeq != 2 {
			t.Fatalf("list: %+v", list)
		}
		d, c := list.Conversations[0], list.Conversations[1]
		if d.ID != first || d.Kind != "direct" || d.Title != "" || d.Last == nil || string(d.Last.Body) != `{"text":"mới nhất"}` ||
			d.Seq != 1 || d.EventID != d.Last.EventID || d.MemberCount != 2 || len(d.Members) != 2 {
			t.Errorf("direct: %+v", d)
		}
		if c.ID != second || c.Title != "Họp giao ban" || c.Owner || c.Seq != 2 || c.Count != 1 || c.MemberCount != 3 {
			t.Errorf("channel: %+v", c)
		}
		if m := c.Members[1]; m.ID != "p-binh" || m.Name != "Họ binh" || m.AgencyName != "Cơ quan" || m.Owner {
			t.Errorf("member: %+v", m)
		}
		if i := slices.IndexFunc(c.Members, func(m chat.ConversationMember) bool { return m.Owner }); i < 0 || c.Members[i].ID != "p-chi" {
			t.Errorf("owner: %+v", c.Members)
		}
	})
}
