package signaling_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"commsd/identity"
	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// What a place has said too much of it has said, with a new socket as well.
func TestShareOutlivesTheSocket(t *testing.T) { bothVersions(t, testShareOutlivesTheSocket) }

func testShareOutlivesTheSocket(t *testing.T, version func(*settings)) {
	s := serve(t, version, still)
	p := s.join(t, "an")
	sid := p.joined().GetParticipant().GetSid()
	p.barrier(1)
	p.flood(t, &lk.SignalRequest{Message: &lk.SignalRequest_Ping{Ping: 1}}, 100_000)
	again := s.resume(t, "an", sid)
	again.await("reconnect", func(m *lk.SignalResponse) bool { return m.GetReconnect() != nil })
	again.flood(t, &lk.SignalRequest{Message: &lk.SignalRequest_Ping{Ping: 2}}, 1)
	// The place itself is there, for who keeps to its share.
	if in, err := s.Inside(ctx(t), "r"); err != nil || len(in) != 1 {
		t.Errorf("inside are %q, %v", in, err)
	}
}

// still stops the clock that shares come back by.
func still(c *settings) {
	now := time.Now()
	c.signaling.Now = func() time.Time { return now }
}

// flood sends m up to n times, for which the server closes.
func (p *peer) flood(t *testing.T, m *lk.SignalRequest, n int) {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if p.SendFrame(websocket.BinaryMessage, data) != nil {
			break
		}
	}
	if code := p.closeCode(); code != 1008 {
		t.Fatalf("closed with %d", code)
	}
}

// A message counts what it makes the room do.
func TestLongListsCount(t *testing.T) {
	s := serve(t, still)
	p := s.join(t, "an")
	sids := make([]string, 1000)
	for i := range sids {
		sids[i] = fmt.Sprintf("TR_%d", i)
	}
	m := &lk.SignalRequest{Message: &lk.SignalRequest_TrackSetting{TrackSetting: &lk.UpdateTrackSettings{TrackSids: sids}}}
	p.signal(m) // once, as a client in a full room
	p.barrier(1)
	// 200 messages of 8 KB are less than may be said at once.
	p.flood(t, m, 200)
}

// A person is in a room with so many tabs and devices, and no more; coming back
// in one of them does not count.
func TestPlacesOfAnAccount(t *testing.T) {
	s := serve(t)
	person := func(c *accesstoken.Claims) { c.Account, c.Session = "account", "session" }
	var people []*peer
	for i := range 16 {
		people = append(people, s.join(t, fmt.Sprint(i), person))
	}
	_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: token(t, "17th", person)})
	if refused := new(meetingpeer.Refused); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		t.Fatalf("the 17th place: %v", err)
	}
	// A browser cannot read why a socket was refused, and asks.
	validate := func(version1, again bool, who string) int {
		t.Helper()
		path, q := "/rtc/validate?", url.Values{"access_token": {token(t, who, person)}}
		if again {
			q.Set("reconnect", "1")
		}
		if version1 {
			request, err := proto.Marshal(&lk.JoinRequest{Reconnect: again})
			if err != nil {
				t.Fatal(err)
			}
			path = "/rtc/v1/validate?"
			q.Set("join_request", wrapped(t, lk.WrappedJoinRequest_NONE, request))
		}
		status, _, _ := s.get(t, "GET", path+q.Encode())
		return status
	}
	for _, version1 := range []bool{false, true} {
		if other, again, own := validate(version1, false, "17th"), validate(version1, true, "17th"), validate(version1, false, "3"); other != 403 || again != 200 || own != 200 {
			t.Errorf("version 1 %t: validate says %d of a 17th place, %d of a place to come back to, %d of one's own", version1, other, again, own)
		}
	}
	people = append(people, s.join(t, "3", person))
	s.join(t, "17th", person, func(c *accesstoken.Claims) { c.Video.Room = "another" })
	s.join(t, "somebody else")
	for i := range 17 {
		s.join(t, fmt.Sprint("of an operator ", i), func(c *accesstoken.Claims) { c.Account, c.Session = "", "" })
	}
	s.Revoke(identity.Revocation{Account: "account"})
	for _, p := range people {
		p.left()
	}
	s.join(t, "17th", person)
}

// Nor with more that come at the same moment: as many as may be get in, and all
// others hear why not.
func TestPlacesTakenAtOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := serve(t, func(c *settings) {
		c.signaling.Registerer = reg
		c.media.MediaTimeout, c.media.ResumeWindow = 2*wait, 2*wait // nobody loses a place who is slow
	})
	sockets := make(chan *websocket.Conn, 50)
	// All are past the first look at their places before any has one.
	var asked atomic.Int32
	all, until := make(chan struct{}), ctx(t)
	s.door.onAsk(func(accesstoken.Claims) {
		if int(asked.Add(1)) == cap(sockets) {
			close(all)
		}
		select {
		case <-all:
		case <-until.Done():
		}
	})
	var dials sync.WaitGroup
	for i := range cap(sockets) {
		dials.Go(func() {
			who := token(t, fmt.Sprint(i), func(c *accesstoken.Claims) { c.Account = "account" })
			ws, answer, err := websocket.DefaultDialer.DialContext(until, s.ws+"/rtc?access_token="+who, nil)
			if err != nil {
				if answer == nil || answer.StatusCode != http.StatusForbidden {
					t.Error(err)
				}
				return
			}
			sockets <- ws
			if _, _, err := ws.ReadMessage(); err != nil { // join, whose place may be ending
				t.Error(err)
			}
		})
	}
	dials.Wait()
	defer func() {
		for len(sockets) > 0 {
			_ = (<-sockets).Close()
		}
	}()
	// The room answers after it has ended the places that are too many.
	in, err := s.media.Participants(ctx(t), "r")
	if err != nil || len(in) != 16 {
		t.Errorf("%d places are taken, %v", len(in), err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP commsd_signaling_joins_total Attempts to join or resume, by result.
# TYPE commsd_signaling_joins_total counter
commsd_signaling_joins_total{result="forbidden"} 34
commsd_signaling_joins_total{result="ok"} 16
`), "commsd_signaling_joins_total"); err != nil {
		t.Error(err)
	}
}

// Nobody comes and goes all the time.
func TestComingInIsPaced(t *testing.T) {
	s := serve(t, still)
	come := func(who string) (int, error) {
		ws, answer, err := websocket.DefaultDialer.DialContext(ctx(t), s.ws+"/rtc?access_token="+token(t, who), nil)
		if err == nil {
			return answer.StatusCode, ws.Close()
		}
		if answer == nil {
			return 0, err
		}
		return answer.StatusCode, nil
	}
	for i := range 61 {
		want := http.StatusSwitchingProtocols
		if i == 60 {
			want = http.StatusTooManyRequests
		}
		if status, err := come("an"); err != nil || status != want {
			t.Fatalf("attempt %d: %d, %v; want %d", i, status, err, want)
		}
	}
	if status, err := come("binh"); err != nil || status != http.StatusSwitchingProtocols {
		t.Errorf("somebody else: %d, %v", status, err)
	}
}
