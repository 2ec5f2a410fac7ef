package signaling_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
	"commsd/signaling"
)

func TestJoinResponse(t *testing.T) {
	s := serve(t)
	no := false
	p := s.dial(t, meetingpeer.Config{Token: token(t, "an", func(c *accesstoken.Claims) {
		c.Metadata, c.Attributes = `{"unit":"Vụ Pháp chế"}`, map[string]string{"role": "chair"}
		c.Video.CanPublishData, c.Video.CanPublishSources = &no, []string{"camera", "screen_share"}
	})})
	j := p.joined()
	if p.Messages()[0].GetJoin() == nil {
		t.Fatalf("the first message is %v", p.Messages()[0])
	}
	self := j.GetParticipant()
	perm := self.GetPermission()
	switch {
	case j.GetRoom().GetName() != "r" || !strings.HasPrefix(j.GetRoom().GetSid(), "RM_"):
		t.Errorf("room %v", j.GetRoom())
	case !strings.HasPrefix(self.GetSid(), "PA_") || self.GetIdentity() != "an" || self.GetName() != "Name of an":
		t.Errorf("participant %v", self)
	case self.GetMetadata() != `{"unit":"Vụ Pháp chế"}` || self.GetAttributes()["role"] != "chair":
		t.Errorf("metadata %v", self)
	case perm == nil || !perm.GetCanPublish() || !perm.GetCanSubscribe() || perm.GetCanPublishData() || perm.GetCanUpdateMetadata() || len(perm.GetCanPublishSources()) != 2:
		t.Errorf("permission %v", perm)
	case !j.GetSubscriberPrimary() || j.GetPingInterval() != 5 || j.GetPingTimeout() != 15:
		t.Errorf("join %v", j)
	case j.GetServerInfo().GetVersion() == "" || j.GetServerInfo().GetNodeId() != "node-1":
		t.Errorf("server %v", j.GetServerInfo())
	case len(j.GetEnabledPublishCodecs()) != 4:
		t.Errorf("codecs %v", j.GetEnabledPublishCodecs())
	case len(j.GetIceServers()) != 0: // a closed network asks nobody outside
		t.Errorf("servers %v", j.GetIceServers())
	}
}

// get asks without an upgrade.
func (s *server) get(t *testing.T, method, path string, header ...string) (status int, body string, h http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx(t), method, s.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://elsewhere.example")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

// Pages of every origin read these answers: without that a client reports the
// server unreachable instead of what is wrong.
func TestEndpoints(t *testing.T) {
	s := serve(t)
	good := url.Values{"access_token": {token(t, "an")}}.Encode()
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/rtc/validate?" + good, 200, "success"},
		{"GET", "/rtc/validate", 401, "access_token is missing"},
		{"GET", "/rtc/v1/validate?" + good, 200, "success"},
		{"GET", "/rtc/v1/validate", 401, "access_token is missing"},
		{"GET", "/rtc/v1", 401, "access_token is missing"},
		{"GET", "/rtc/v2/validate?" + good, 404, "not served here"},
		{"GET", "/rtc/v2?" + good, 404, "not served here"},
		{"GET", "/rtc", 401, "access_token is missing"},
		{"OPTIONS", "/rtc/validate", 204, ""},
		{"OPTIONS", "/rtc/v1/validate", 204, ""},
	} {
		status, body, h := s.get(t, c.method, c.path)
		if status != c.status || body != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, status, body, c.status, c.body)
		}
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers %v", c.method, c.path, h)
		}
	}
	if status, _, _ := s.get(t, "GET", "/rtc/validate", "Authorization", "Bearer "+token(t, "an")); status != 200 {
		t.Errorf("a token in the header: %d", status)
	}
	if status, _, _ := s.get(t, "GET", "/rtc?"+good); status != 400 { // no upgrade asked for
		t.Errorf("a plain GET: %d", status)
	}
}

func TestTokensAreRefused(t *testing.T) {
	s := serve(t)
	mint := func(key string, sec []byte, ttl time.Duration, at time.Time) string {
		out, err := accesstoken.Mint(key, sec, accesstoken.Claims{Identity: "an", Video: accesstoken.VideoGrant{Room: "r", RoomJoin: true}}, ttl, at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	now := time.Now()
	for name, c := range map[string]struct {
		token  string
		status int
		body   string
	}{
		"forged":      {mint(apiKey, []byte("another secret of thirty-two bytes"), time.Hour, now), 401, "access_token is not valid"},
		"unknown key": {mint("otherkey", secret, time.Hour, now), 401, "access_token is not valid"},
		"expired":     {mint(apiKey, secret, time.Minute, now.Add(-time.Hour)), 401, "access_token has expired"},
		"garbage":     {"a.b.c", 401, "access_token is not valid"},
		"no join":     {token(t, "an", func(c *accesstoken.Claims) { c.Video.RoomJoin = false }), 403, "this token does not join a room"},
		"no room":     {token(t, "an", func(c *accesstoken.Claims) { c.Video.Room = "" }), 403, "this token does not join a room"},
		"long room":   {token(t, "an", func(c *accesstoken.Claims) { c.Video.Room = strings.Repeat("r", 257) }), 403, "the token's room or identity is longer than 256 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, _ := s.get(t, "GET", "/rtc/validate?access_token="+c.token)
			if status != c.status || body != c.body {
				t.Errorf("validate: %d %q, want %d %q", status, body, c.status, c.body)
			}
			_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: c.token})
			var refused *meetingpeer.Refused
			if !errors.As(err, &refused) || refused.Status != c.status || refused.Body != c.body {
				t.Errorf("socket: %v, want %d %q", err, c.status, c.body)
			}
		})
	}
}

func TestAdmissionIsAsked(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		says   error
		status int
		body   string
	}{
		{errcode.New(errcode.Forbidden, "wait in the lobby"), 403, "wait in the lobby"},
		{errcode.New(errcode.Gone, "the meeting has ended"), 403, "the meeting has ended"},
		{errcode.New(errcode.NotFound, "no such meeting"), 404, "requested room does not exist: no such meeting"},
		{errcode.New(errcode.RateLimited, "too often"), 429, "too often"},
		{errcode.New(errcode.Unavailable, "the database is away"), 503, "the database is away"},
		{errors.New("secret detail"), 500, errcode.Message(errors.New("secret detail"))},
		{nil, 200, "success"},
	} {
		s.door.set(c.says)
		status, body, _ := s.get(t, "GET", "/rtc/validate?access_token="+token(t, "an"))
		if status != c.status || body != c.body || strings.Contains(body, "secret") {
			t.Errorf("%v: %d %q", c.says, status, body)
		}
		if c.says == nil {
			continue
		}
		var refused *meetingpeer.Refused
		if _, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: token(t, "an")}); !errors.As(err, &refused) || refused.Status != c.status {
			t.Errorf("%v: the socket answers %v", c.says, err)
		}
	}
}

// A token is refreshed as long as its holder is admitted, and no longer.
func TestRefreshAsksAgain(t *testing.T) { bothVersions(t, testRefreshAsksAgain) }

func testRefreshAsksAgain(t *testing.T, version func(*settings)) {
	s := serve(t, version, func(c *settings) { c.signaling.RefreshEvery = 20 * time.Millisecond })
	p := s.join(t, "an")
	m := p.await("a new token", func(m *lk.SignalResponse) bool { return m.GetRefreshToken() != "" })
	c, err := accesstoken.Parse(m.GetRefreshToken(), keys, time.Now())
	if err != nil || c.Identity != "an" || c.Video.Room != "r" || c.Account != "account-an" || time.Until(c.Expires) > 10*time.Minute {
		t.Fatalf("refreshed to %+v, %v", c, err)
	}
	s.door.set(errcode.New(errcode.Unavailable, "the database is away")) // nobody is put out for that
	asked := make(chan struct{}, 100)
	s.door.onAsk(func(accesstoken.Claims) { asked <- struct{}{} })
	for range 3 {
		select {
		case <-asked:
		case <-time.After(wait):
			t.Fatal("admission is not asked again")
		}
	}
	p.barrier(1)
	s.door.set(errcode.New(errcode.Forbidden, "removed"))
	if l := p.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Fatalf("left with %v", l)
	}
	if code := p.closeCode(); code != websocket.CloseNormalClosure {
		t.Fatalf("closed with %d", code)
	}
}

func TestRevoke(t *testing.T) {
	s := serve(t)
	an, other, chi := s.join(t, "an"), s.join(t, "an2", func(c *accesstoken.Claims) { c.Account = "account-an" }), s.join(t, "chi")
	s.Revoke(identity.Revocation{Account: "account-an", Session: "session-an"})
	if l := an.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED {
		t.Fatalf("left with %v", l)
	}
	other.barrier(1)
	s.Revoke(identity.Revocation{Account: "account-an"})
	other.left()
	chi.barrier(1)
	s.Revoke(identity.Revocation{})
	chi.barrier(2)
}

// The end of a lent position ends the places that were taken in it, and no
// others of the account.
func TestRevokePosition(t *testing.T) {
	s := serve(t)
	in := func(position identity.PositionID) func(*accesstoken.Claims) {
		return func(c *accesstoken.Claims) { c.Account, c.Position = "account-an", position }
	}
	lent, other, own := s.join(t, "an", in("lent")), s.join(t, "an2", in("other")), s.join(t, "an3", in(""))
	stranger := s.join(t, "chi", func(c *accesstoken.Claims) { c.Position = "lent" })
	s.Revoke(identity.Revocation{Account: "account-an", Position: "lent"})
	if l := lent.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED {
		t.Fatalf("left with %v", l)
	}
	for _, stays := range []*peer{other, own, stranger} {
		stays.barrier(1)
	}
}

// A revocation that falls between the admission and the place still ends it.
func TestRevocationDuringJoin(t *testing.T) { bothVersions(t, testRevocationDuringJoin) }

func testRevocationDuringJoin(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	s.door.onAsk(func(c accesstoken.Claims) {
		s.door.onAsk(nil)
		s.Revoke(identity.Revocation{Account: c.Account}) // finds no session yet
		defer s.door.onAsk(func(accesstoken.Claims) { s.door.set(errcode.New(errcode.Forbidden, "this account is disabled")) })
	})
	p := s.dial(t, meetingpeer.Config{Token: token(t, "an")})
	if l := p.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED {
		t.Fatalf("left with %v", l)
	}
}

// A room that closes between the admission and the place still lets nobody in.
func TestCloseDuringJoin(t *testing.T) {
	s := serve(t)
	s.door.onAsk(func(accesstoken.Claims) {
		s.door.onAsk(nil)
		if err := s.CloseRoom(t.Context(), "r"); err != nil { // finds nobody yet
			t.Error(err)
		}
		defer s.door.onAsk(func(accesstoken.Claims) { s.door.set(errcode.New(errcode.Gone, "the meeting has ended")) })
	})
	p := s.dial(t, meetingpeer.Config{Token: token(t, "an")})
	if l := p.left(); l.GetReason() != lk.DisconnectReason_ROOM_DELETED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Fatalf("left with %v", l)
	}
}

func TestCloseAndInside(t *testing.T) {
	s := serve(t)
	an, chi := s.join(t, "an"), s.join(t, "chi")
	if in, err := s.Inside(ctx(t), "r"); err != nil || len(in) != 2 {
		t.Fatalf("inside are %q, %v", in, err)
	}
	s.Revoke(identity.Revocation{Account: "account-an"})
	if l := an.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED || l.GetAction() != lk.LeaveRequest_DISCONNECT || l.GetCanReconnect() {
		t.Fatalf("an left with %v", l)
	}
	chi.sees("an", "an goes", func(i *lk.ParticipantInfo) bool {
		return i.GetState() == lk.ParticipantInfo_DISCONNECTED && i.GetDisconnectReason() == lk.DisconnectReason_PARTICIPANT_REMOVED
	})
	if err := s.CloseRoom(ctx(t), "r"); err != nil {
		t.Fatal(err)
	}
	if l := chi.left(); l.GetReason() != lk.DisconnectReason_ROOM_DELETED {
		t.Fatalf("chi left with %v", l)
	}
	if err := s.CloseRoom(ctx(t), "r"); err != nil {
		t.Fatalf("of a room that is gone: %v", err)
	}
}

func TestDuplicateIdentity(t *testing.T) { bothVersions(t, testDuplicateIdentity) }

func testDuplicateIdentity(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	first := s.join(t, "an")
	second := s.join(t, "an")
	if l := first.left(); l.GetReason() != lk.DisconnectReason_DUPLICATE_IDENTITY || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Fatalf("the first left with %v", l)
	}
	second.barrier(1)
}

func TestLeave(t *testing.T) { bothVersions(t, testLeave) }

func testLeave(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an, chi := s.join(t, "an"), s.join(t, "chi")
	an.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{Reason: lk.DisconnectReason_CLIENT_INITIATED}}})
	chi.sees("an", "an goes", func(i *lk.ParticipantInfo) bool {
		return i.GetState() == lk.ParticipantInfo_DISCONNECTED && i.GetDisconnectReason() == lk.DisconnectReason_CLIENT_INITIATED
	})
	if code := an.closeCode(); code != websocket.CloseNormalClosure {
		t.Fatalf("closed with %d", code)
	}
}

// A node that drains sends its clients elsewhere and takes no more; once it is
// back they join again with new places.
func TestDrainAndFullReconnect(t *testing.T) { bothVersions(t, testDrainAndFullReconnect) }

func testDrainAndFullReconnect(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an, chi := s.join(t, "an"), s.join(t, "chi")
	was := an.joined().GetParticipant().GetSid()
	drain, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	s.Drain(drain) // returns when the sockets have closed
	if drain.Err() != nil {
		t.Fatal("sockets stayed open")
	}
	for _, p := range []*peer{an, chi} {
		if l := p.left(); l.GetReason() != lk.DisconnectReason_SERVER_SHUTDOWN || l.GetAction() != lk.LeaveRequest_RECONNECT || !l.GetCanReconnect() {
			t.Fatalf("left with %v", l)
		}
		p.closeCode()
	}
	status, body, h := s.get(t, "GET", "/rtc/validate?access_token="+token(t, "an"))
	if status != 503 || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("validate while draining: %d %q", status, body)
	}
	var refused *meetingpeer.Refused
	if _, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: token(t, "an")}); !errors.As(err, &refused) || refused.Status != 503 {
		t.Fatalf("a join while draining: %v", err)
	}
	s.stop()

	next := serve(t, version)
	// The client first tries to resume what the new process has never heard of.
	lost := next.resume(t, "an", was)
	if l := lost.left(); l.GetReason() != lk.DisconnectReason_STATE_MISMATCH || l.GetAction() != lk.LeaveRequest_RECONNECT {
		t.Fatalf("an unknown place: %v", l)
	}
	back, there := next.join(t, "an"), next.join(t, "chi")
	if back.joined().GetParticipant().GetSid() == was {
		t.Fatal("a new place has the old id")
	}
	pub, _ := back.publish(microphone("mic"))
	source := pub.Pump(3*time.Millisecond, opus)
	defer source.Stop()
	hears(t, there, "sound ")
}

func TestResume(t *testing.T) { bothVersions(t, testResume) }

func testResume(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an, chi := s.join(t, "an"), s.join(t, "chi")
	sid := an.joined().GetParticipant().GetSid()
	if err := an.CloseSocket(); err != nil {
		t.Fatal(err)
	}
	back := s.resume(t, "an", sid)
	back.await("reconnect", func(m *lk.SignalResponse) bool { return m.GetReconnect() != nil })
	if back.Messages()[0].GetReconnect().GetServerInfo().GetVersion() == "" {
		t.Fatalf("the first message is %v", back.Messages()[0])
	}
	back.sees("chi", "chi", func(*lk.ParticipantInfo) bool { return true })
	// A second socket ends the first: only one speaks for a place.
	again := s.resume(t, "an", sid)
	again.await("reconnect", func(m *lk.SignalResponse) bool { return m.GetReconnect() != nil })
	if code := back.closeCode(); code != websocket.CloseNormalClosure {
		t.Fatalf("the overtaken socket closed with %d", code)
	}
	again.barrier(1)
	// Nobody resumes another's place.
	thief := s.resume(t, "chi", sid)
	if l := thief.left(); l.GetReason() != lk.DisconnectReason_STATE_MISMATCH || l.GetAction() != lk.LeaveRequest_RECONNECT {
		t.Fatalf("the thief left with %v", l)
	}
	for _, m := range chi.Messages() {
		for _, p := range m.GetUpdate().GetParticipants() {
			if p.GetState() == lk.ParticipantInfo_DISCONNECTED {
				t.Fatalf("chi saw %s go", p.GetIdentity())
			}
		}
	}
	again.barrier(2)
}

// A client that has vanished without a word is noticed.
func TestSilentClientIsNoticed(t *testing.T) {
	s := serve(t, func(c *settings) {
		c.signaling.PingEvery, c.signaling.PongTimeout = 50*time.Millisecond, 100*time.Millisecond
		c.media.ResumeWindow = 50 * time.Millisecond
	})
	chi := s.join(t, "chi")
	ws, _, err := websocket.DefaultDialer.DialContext(ctx(t), s.ws+"/rtc?access_token="+token(t, "an"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close() // which never reads, so it answers no ping
	chi.sees("an", "an is given up", func(i *lk.ParticipantInfo) bool {
		return i.GetState() == lk.ParticipantInfo_DISCONNECTED && i.GetDisconnectReason() == lk.DisconnectReason_SIGNAL_CLOSE
	})
	chi.barrier(1) // who answers pings stays
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]signaling.Config{
		"Keys":      {},
		"Admission": {Keys: keys},
		"SFU":       {Keys: keys, Admission: &door{}},
	} {
		if _, err := signaling.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want it to name %s", err, name)
		}
	}
}
