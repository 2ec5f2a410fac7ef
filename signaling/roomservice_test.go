package signaling_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"commsd/audit"
	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// operator calls the room service.
type operator struct {
	t     *testing.T
	s     *server
	token string
	json  bool
}

type fault struct {
	status     int
	Code, Msg  string
	retryAfter string
}

func (o operator) call(method string, q, a proto.Message) *fault {
	o.t.Helper()
	marshal, kind := proto.Marshal, "application/protobuf"
	if o.json {
		marshal, kind = protojson.Marshal, "application/json"
	}
	body, err := marshal(q)
	if err != nil {
		o.t.Fatal(err)
	}
	data, f := o.post(method, kind, body)
	if f != nil {
		return f
	}
	unmarshal := proto.Unmarshal
	if o.json {
		unmarshal = protojson.Unmarshal
	}
	if err := unmarshal(data, a); err != nil {
		o.t.Fatalf("%s answers %q: %v", method, data, err)
	}
	return nil
}

func (o operator) post(method, kind string, body []byte) ([]byte, *fault) {
	o.t.Helper()
	rq, err := http.NewRequestWithContext(ctx(o.t), http.MethodPost, o.s.http.URL+"/twirp/livekit.RoomService/"+method, bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", kind)
	if o.token != "" {
		rq.Header.Set("Authorization", "Bearer "+o.token)
	}
	res, err := http.DefaultClient.Do(rq)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		f := &fault{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After")}
		if err := json.Unmarshal(data, f); err != nil || f.Code == "" || f.Msg == "" {
			o.t.Fatalf("%s answers %d %q, which is no error of Twirp's", method, res.StatusCode, data)
		}
		return nil, f
	}
	if got := res.Header.Get("Content-Type"); got != kind {
		o.t.Errorf("%s answers with %s", method, got)
	}
	return data, nil
}

// must is call for what must succeed.
func (o operator) must(method string, q, a proto.Message) {
	o.t.Helper()
	if f := o.call(method, q, a); f != nil {
		o.t.Fatalf("%s: %+v", method, *f)
	}
}

func grants(c *accesstoken.Claims) {
	c.Video = accesstoken.VideoGrant{Room: "r", RoomAdmin: true, RoomCreate: true, RoomList: true}
	c.Account, c.Session = "", ""
}

// ledger keeps what is audited.
type ledger struct {
	mu     sync.Mutex
	events []audit.Event // guarded by mu
	says   error         // guarded by mu
}

func (l *ledger) note(_ context.Context, e audit.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return l.says
}

func (l *ledger) lines() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		out = append(out, string(e.Action)+" "+e.Object.ID+" "+e.Detail["identity"]+" "+e.Outcome)
	}
	return out
}

// serveOperators is serve with a room service, whose every room is an
// operator's but those that begin with "meeting".
func serveOperators(t *testing.T, change ...func(*settings)) (*server, *ledger) {
	t.Helper()
	l := &ledger{}
	return serve(t, append([]func(*settings){l.serve}, change...)...), l
}

// serve sets up the room service.
func (l *ledger) serve(set *settings) {
	set.signaling.OperatorRoom = func(room string) bool { return !strings.HasPrefix(room, "meeting") }
	set.signaling.Audit = l.note
}

func TestRoomService(t *testing.T) {
	for name, isJSON := range map[string]bool{"protobuf": false, "json": true} {
		t.Run(name, func(t *testing.T) {
			s, audited := serveOperators(t)
			testRoomService(t, s, s, isJSON, audited.lines)
		})
		t.Run(name+" by another node", func(t *testing.T) {
			nodes := serveNodes(t, "a", "b")
			a, b := nodes[0], nodes[1]
			// Whoever makes the room chooses its node, so it is there already.
			operator{t, a.server, token(t, "op", grants), isJSON}.must("CreateRoom", &lk.CreateRoomRequest{Name: "r"}, &lk.Room{})
			testRoomService(t, a.server, b.server, isJSON, func() []string {
				own := b.ledger.lines()
				if len(own) > 1 { // the second end finds no node to hand it on to, once the first has given up the room
					t.Errorf("the node that was asked did %q itself", own)
				}
				return append(a.ledger.lines()[1:], own...)
			})
		})
	}
}

// testRoomService asks by for a room of s.
func testRoomService(t *testing.T, s, by *server, isJSON bool, audited func() []string) {
	o := operator{t, by, token(t, "op", grants), isJSON}
	r := &lk.Room{}
	o.must("CreateRoom", &lk.CreateRoomRequest{Name: "r", EmptyTimeout: 60, DepartureTimeout: 30, MaxParticipants: 3, Metadata: "agenda"}, r)
	if !strings.HasPrefix(r.GetSid(), "RM_") || r.GetEmptyTimeout() != 60 || r.GetDepartureTimeout() != 30 || r.GetMaxParticipants() != 3 || r.GetMetadata() != "agenda" {
		t.Errorf("made %v", r)
	}
	an, binh := s.join(t, "an"), s.join(t, "binh")
	_, sid := an.publish(microphone("mic"))

	list := &lk.ListRoomsResponse{}
	o.must("ListRooms", &lk.ListRoomsRequest{}, list)
	if len(list.GetRooms()) != 1 || list.GetRooms()[0].GetSid() != r.GetSid() || list.GetRooms()[0].GetNumParticipants() != 2 {
		t.Errorf("rooms are %v", list)
	}
	o.must("ListRooms", &lk.ListRoomsRequest{Names: []string{"another"}}, list)
	if len(list.GetRooms()) != 0 {
		t.Errorf("asked of another: %v", list)
	}
	people := &lk.ListParticipantsResponse{}
	o.must("ListParticipants", &lk.ListParticipantsRequest{Room: "r"}, people)
	if p := people.GetParticipants(); len(p) != 2 || p[0].GetIdentity() != "an" || p[1].GetIdentity() != "binh" {
		t.Errorf("participants are %v", people)
	}
	one := &lk.ParticipantInfo{}
	o.must("GetParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "binh"}, one)
	if one.GetIdentity() != "binh" || one.GetName() != "Name of binh" {
		t.Errorf("binh is %v", one)
	}

	muted := &lk.MuteRoomTrackResponse{}
	o.must("MutePublishedTrack", &lk.MuteRoomTrackRequest{Room: "r", Identity: "an", TrackSid: sid, Muted: true}, muted)
	if !muted.GetTrack().GetMuted() || muted.GetTrack().GetSid() != sid {
		t.Errorf("muted %v", muted)
	}
	an.await("mute", func(m *lk.SignalResponse) bool { return m.GetMute().GetSid() == sid && m.GetMute().GetMuted() })
	if f := o.call("MutePublishedTrack", &lk.MuteRoomTrackRequest{Room: "r", Identity: "an", TrackSid: sid}, muted); f == nil || f.status != 412 || f.Code != "failed_precondition" {
		t.Errorf("to unmute somebody answers %+v", f)
	}

	o.must("UpdateRoomMetadata", &lk.UpdateRoomMetadataRequest{Room: "r", Metadata: "minutes"}, r)
	an.await("room_update", func(m *lk.SignalResponse) bool { return m.GetRoomUpdate().GetRoom().GetMetadata() == "minutes" })

	o.must("UpdateParticipant", &lk.UpdateParticipantRequest{
		Room: "r", Identity: "an", Name: "An", Attributes: map[string]string{"seat": "1"},
		Permission: &lk.ParticipantPermission{CanSubscribe: true, CanPublish: true, CanPublishSources: []lk.TrackSource{lk.TrackSource_CAMERA}},
	}, one)
	if one.GetName() != "An" || one.GetAttributes()["seat"] != "1" || one.GetPermission().GetCanPublishData() || len(one.GetTracks()) != 0 {
		t.Errorf("an is %v", one)
	}
	an.await("track_unpublished", func(m *lk.SignalResponse) bool { return m.GetTrackUnpublished().GetTrackSid() == sid })
	binh.sees("an", "the new permission", func(p *lk.ParticipantInfo) bool { return !p.GetPermission().GetCanPublishData() && p.GetName() == "An" })
	// The token for a new place says the same.
	fresh := an.await("refresh_token", func(m *lk.SignalResponse) bool { return m.GetRefreshToken() != "" }).GetRefreshToken()
	c, err := accesstoken.Parse(fresh, keys, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "An" || c.Video.MayPublishData() || !c.Video.MayPublish() || len(c.Video.CanPublishSources) != 1 || c.Account != "account-an" {
		t.Errorf("the new token says %+v", c)
	}

	o.must("UpdateSubscriptions", &lk.UpdateSubscriptionsRequest{Room: "r", Identity: "binh"}, &lk.UpdateSubscriptionsResponse{})
	o.must("RemoveParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "an"}, &lk.RemoveParticipantResponse{})
	if l := an.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Errorf("an left with %v", l)
	}
	if f := o.call("GetParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "an"}, one); f == nil || f.status != 404 || f.Code != "not_found" {
		t.Errorf("who has left answers %+v", f)
	}
	o.must("DeleteRoom", &lk.DeleteRoomRequest{Room: "r"}, &lk.DeleteRoomResponse{})
	if l := binh.left(); l.GetReason() != lk.DisconnectReason_ROOM_DELETED {
		t.Errorf("binh left with %v", l)
	}
	o.must("ListRooms", &lk.ListRoomsRequest{}, list)
	if len(list.GetRooms()) != 0 {
		t.Errorf("after the end there is %v", list)
	}
	if f := o.call("DeleteRoom", &lk.DeleteRoomRequest{Room: "r"}, &lk.DeleteRoomResponse{}); f == nil || f.Code != "not_found" {
		t.Errorf("a second end answers %+v", f)
	}
	want := []string{
		"room.create r  ok", "room.mute r an ok", "room.describe r  ok", "room.update_participant r an ok",
		"room.update_subscriptions r binh ok", "room.remove_participant r an ok", "room.end r  ok", "room.end r  failed",
	}
	if got := audited(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audited:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRoomsOfAllNodes: every node lists the rooms of all, those of one that dies
// until its lease has ended, and never a list that lacks some.
func TestRoomsOfAllNodes(t *testing.T) {
	nodes := serveNodes(t, "a", "b", "c")
	ops := make([]operator, len(nodes))
	for i, n := range nodes {
		ops[i] = operator{t, n.server, token(t, "op", grants), false}
		ops[i].must("CreateRoom", &lk.CreateRoomRequest{Name: "of " + string('a'+rune(i))}, &lk.Room{})
		n.join(t, "chi", func(c *accesstoken.Claims) { c.Video.Room = "meeting-" + string('a'+rune(i)) })
	}
	list := func(o operator, names ...string) (string, *fault) {
		t.Helper()
		out := &lk.ListRoomsResponse{}
		if f := o.call("ListRooms", &lk.ListRoomsRequest{Names: names}, out); f != nil {
			return "", f
		}
		var got []string
		for _, r := range out.GetRooms() {
			got = append(got, r.GetName())
		}
		return strings.Join(got, ", "), nil
	}
	for i, o := range ops {
		if got, f := list(o); f != nil || got != "of a, of b, of c" {
			t.Errorf("%d lists %s, %+v", i, got, f)
		}
		if got, f := list(o, "of b", "of d"); f != nil || got != "of b" {
			t.Errorf("%d lists %s, %+v", i, got, f)
		}
	}
	dead := nodes[2]
	dead.front.Stall()
	dead.wire.Stall()
	await(t, "the dead node's rooms to go", func() bool {
		got, f := list(ops[0])
		switch {
		case f != nil && f.Code != "unavailable":
			t.Fatalf("answers %+v", *f)
		case f == nil && got != "of a, of b":
			t.Fatalf("lists %s", got)
		case f == nil && dead.lives(t):
			t.Fatal("a living node's rooms are left out")
		}
		return f == nil
	})
}

func TestRoomServiceSendsData(t *testing.T) {
	s, _ := serveOperators(t)
	o := operator{t, s, token(t, "op", grants), true}
	an, binh := s.join(t, "an"), s.join(t, "binh")
	topic := "news"
	for _, p := range []*peer{an, binh} { // until its channel is open nothing reaches it
		knock := time.NewTicker(20 * time.Millisecond)
		for heard := false; !heard; {
			select {
			case <-knock.C:
				o.must("SendData", &lk.SendDataRequest{Room: "r", Data: []byte("hello"), DestinationSids: []string{p.joined().GetParticipant().GetSid()}}, &lk.SendDataResponse{})
			case <-p.Data():
				heard = true
			case <-time.After(wait):
				t.Fatal("no data comes")
			}
		}
		knock.Stop()
	}
	o.must("SendData", &lk.SendDataRequest{Room: "r", Data: []byte("for binh"), Topic: &topic, DestinationIdentities: []string{"binh"}}, &lk.SendDataResponse{})
	o.must("SendData", &lk.SendDataRequest{Room: "r", Data: []byte("for all")}, &lk.SendDataResponse{})
	hears := func(p *peer, want string, topic string) {
		t.Helper()
		for {
			select {
			case d := <-p.Data():
				m := &lk.DataPacket{}
				if err := proto.Unmarshal(d.Payload, m); err != nil {
					t.Fatal(err)
				}
				u := m.GetUser()
				if string(u.GetPayload()) == "hello" {
					continue
				}
				if d.Label != meetingpeer.Reliable || string(u.GetPayload()) != want || u.GetTopic() != topic || m.GetParticipantSid() != "" {
					t.Errorf("hears %v by %s, want %s", m, d.Label, want)
				}
				return
			case <-time.After(wait):
				t.Fatalf("%q does not come", want)
			}
		}
	}
	hears(binh, "for binh", topic)
	hears(binh, "for all", "")
	hears(an, "for all", "")
	if f := o.call("SendData", &lk.SendDataRequest{Room: "r", Data: make([]byte, 65<<10)}, &lk.SendDataResponse{}); f == nil || f.Code != "invalid_argument" {
		t.Errorf("too much data answers %+v", f)
	}
}

// JSON may name its fields either way, and gets all of them back.
func TestRoomServiceJSON(t *testing.T) {
	s, _ := serveOperators(t)
	o := operator{t, s, token(t, "op", grants), true}
	for _, body := range []string{`{"name":"a","empty_timeout":77}`, `{"name":"b","emptyTimeout":77,"somethingNew":{}}`} {
		data, f := o.post("CreateRoom", "application/json", []byte(body))
		if f != nil {
			t.Fatalf("%s: %+v", body, *f)
		}
		var got map[string]any
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got["empty_timeout"] != float64(77) || got["num_participants"] != float64(0) {
			t.Errorf("%s answers %s", body, data)
		}
	}
}

func TestRoomServiceRefuses(t *testing.T) {
	s, audited := serveOperators(t)
	s.join(t, "an")
	s.join(t, "chi", func(c *accesstoken.Claims) { c.Video.Room = "meeting-1" })
	good := token(t, "op", grants)
	without := func(f func(*accesstoken.VideoGrant)) string {
		return token(t, "op", grants, func(c *accesstoken.Claims) { f(&c.Video) })
	}
	expired, err := accesstoken.Mint(apiKey, secret, accesstoken.Claims{Identity: "op", Video: accesstoken.VideoGrant{RoomList: true}}, time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	const asJSON = "application/json"
	for name, c := range map[string]struct {
		method, kind, token, body string
		status                    int
		code                      string
	}{
		"no token":              {"ListRooms", asJSON, "", `{}`, 401, "unauthenticated"},
		"a forged token":        {"ListRooms", asJSON, good + "x", `{}`, 401, "unauthenticated"},
		"an expired token":      {"ListRooms", asJSON, expired, `{}`, 401, "unauthenticated"},
		"a participant's token": {"ListRooms", asJSON, token(t, "an"), `{}`, 403, "permission_denied"},
		"no roomList":           {"ListRooms", asJSON, without(func(g *accesstoken.VideoGrant) { g.RoomList = false }), `{}`, 403, "permission_denied"},
		"no roomCreate":         {"CreateRoom", asJSON, without(func(g *accesstoken.VideoGrant) { g.RoomCreate = false }), `{"name":"r"}`, 403, "permission_denied"},
		"no roomCreate to end":  {"DeleteRoom", asJSON, without(func(g *accesstoken.VideoGrant) { g.RoomCreate = false }), `{"room":"r"}`, 403, "permission_denied"},
		"no roomAdmin":          {"ListParticipants", asJSON, without(func(g *accesstoken.VideoGrant) { g.RoomAdmin = false }), `{"room":"r"}`, 403, "permission_denied"},
		"roomAdmin of another":  {"RemoveParticipant", asJSON, good, `{"room":"other","identity":"an"}`, 403, "permission_denied"},
		"a meeting's room":      {"RemoveParticipant", asJSON, without(func(g *accesstoken.VideoGrant) { g.Room = "meeting-1" }), `{"room":"meeting-1","identity":"chi"}`, 403, "permission_denied"},
		"to end a meeting":      {"DeleteRoom", asJSON, good, `{"room":"meeting-1"}`, 403, "permission_denied"},
		"no name":               {"CreateRoom", asJSON, good, `{}`, 400, "invalid_argument"},
		"a long name":           {"CreateRoom", asJSON, good, `{"name":"` + strings.Repeat("x", 257) + `"}`, 400, "invalid_argument"},
		"a long wait":           {"CreateRoom", asJSON, good, `{"name":"x","empty_timeout":4000000000}`, 400, "invalid_argument"},
		"a room there is not":   {"ListParticipants", asJSON, without(func(g *accesstoken.VideoGrant) { g.Room = "none" }), `{"room":"none"}`, 404, "not_found"},
		"nobody":                {"RemoveParticipant", asJSON, good, `{"room":"r","identity":"nobody"}`, 404, "not_found"},
		"no track":              {"MutePublishedTrack", asJSON, good, `{"room":"r","identity":"an","track_sid":"TR_x","muted":true}`, 404, "not_found"},
		"too much metadata":     {"UpdateParticipant", asJSON, good, `{"room":"r","identity":"an","metadata":"` + strings.Repeat("x", 65<<10) + `"}`, 400, "invalid_argument"},
		"no JSON":               {"ListRooms", asJSON, good, `{`, 400, "malformed"},
		"no protobuf":           {"ListRooms", "application/protobuf", good, "\x0a\xff", 400, "malformed"},
		"too much":              {"UpdateRoomMetadata", asJSON, good, `{"room":"r","metadata":"` + strings.Repeat("x", 600<<10) + `"}`, 400, "malformed"},
		"a method there is not": {"Nothing", asJSON, good, `{}`, 404, "bad_route"},
		"an unknown type":       {"ListRooms", "text/plain", good, `{}`, 404, "bad_route"},
	} {
		_, f := operator{t, s, c.token, false}.post(c.method, c.kind, []byte(c.body))
		if f == nil || f.status != c.status || f.Code != c.code {
			t.Errorf("%s answers %+v, want %d %s", name, f, c.status, c.code)
		}
	}
	list := &lk.ListRoomsResponse{}
	operator{t, s, good, false}.must("ListRooms", &lk.ListRoomsRequest{}, list)
	if len(list.GetRooms()) != 1 || list.GetRooms()[0].GetName() != "r" {
		t.Errorf("the list is %v: a meeting's room is nobody's business", list)
	}
	if in, err := s.Inside(ctx(t), "meeting-1"); err != nil || len(in) != 1 {
		t.Errorf("in the meeting are %q, %v", in, err)
	}
	denied := 0
	for _, line := range audited.lines() {
		if strings.HasPrefix(line, "room.call meeting-1") && strings.HasSuffix(line, " denied") {
			denied++
		}
	}
	if denied != 2 {
		t.Errorf("%d denials were audited: %q", denied, audited.lines())
	}
	res, err := http.Get(s.http.URL + "/twirp/livekit.RoomService/ListRooms")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("GET answers %d", res.StatusCode)
	}
}

func TestRoomServiceIsPaced(t *testing.T) {
	s, _ := serveOperators(t, func(set *settings) {
		set.signaling.CallsPerSecond = 0.5 // and two at once
		now := time.Now()
		set.signaling.Now = func() time.Time { return now }
	})
	o := operator{t, s, token(t, "op", grants), false}
	for range 2 {
		o.must("ListRooms", &lk.ListRoomsRequest{}, &lk.ListRoomsResponse{})
	}
	if f := o.call("ListRooms", &lk.ListRoomsRequest{}, &lk.ListRoomsResponse{}); f == nil || f.status != 429 || f.Code != "resource_exhausted" || f.retryAfter == "" {
		t.Errorf("the third call answers %+v", f)
	}
}

// What cannot be recorded is not passed over in silence.
func TestRoomServiceNeedsTheAuditLog(t *testing.T) {
	s, audited := serveOperators(t)
	audited.mu.Lock()
	audited.says = errors.New("disk full")
	audited.mu.Unlock()
	o := operator{t, s, token(t, "op", grants), false}
	if f := o.call("CreateRoom", &lk.CreateRoomRequest{Name: "r"}, &lk.Room{}); f == nil || f.Code != "unavailable" {
		t.Errorf("answers %+v", f)
	}
}
