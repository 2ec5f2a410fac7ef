package meeting_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/meeting"
)

type admission struct{ URL, Token, Identity string }

// join asks for a token and reads it as the media server does.
func (h *house) join(who, id string, body any) (admission, accesstoken.Claims) {
	h.t.Helper()
	var a admission
	if status, raw := h.call(who, "POST", "/api/v1/meetings/"+id+"/join", body, &a); status != http.StatusOK {
		h.t.Fatalf("join answered %d: %s", status, raw)
	}
	secret, err := h.gate.Secret(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	claims, err := accesstoken.Parse(a.Token, func(key string) ([]byte, bool) { return secret, key == meeting.APIKey }, h.clock())
	if err != nil {
		h.t.Fatal(err)
	}
	return a, claims
}

// joinAs is join by an actor as he is.
func (h *house) joinAs(actor identity.Actor, id string) accesstoken.Claims {
	h.t.Helper()
	a, err := h.service.Join(h.t.Context(), actor, id, "tab")
	if err != nil {
		h.t.Fatal(err)
	}
	secret, err := h.gate.Secret(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	claims, err := accesstoken.Parse(a.Token, func(key string) ([]byte, bool) { return secret, key == meeting.APIKey }, h.clock())
	if err != nil {
		h.t.Fatal(err)
	}
	return claims
}

func TestJoinMintsToken(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp"})
		a, claims := h.join("chi", m.ID, object{"tab": "abc123"})
		if want := "wss://hop.g2g.example"; a.URL != want { // not the Host we came by, as behind a proxy
			t.Errorf("url is %q, want %q", a.URL, want)
		}
		if a.Identity != "p-chi.abc123" || claims.Identity != a.Identity || claims.Name != "Lê Thị Chi" {
			t.Errorf("token is of %q %q", claims.Identity, claims.Name)
		}
		if claims.Video.Room != "meeting-"+m.ID || !claims.Video.RoomJoin || claims.Video.RoomAdmin || claims.Video.RoomCreate ||
			!claims.Video.MayPublish() || !claims.Video.MaySubscribe() || claims.Video.MayUpdateOwnMetadata() {
			t.Errorf("grant is %+v", claims.Video)
		}
		if claims.Account != "acc-chi" || claims.Session != "s-chi" || !claims.Expires.Equal(h.clock().Add(10*time.Minute)) {
			t.Errorf("claims are %+v", claims)
		}
		var md meeting.Metadata
		if err := json.Unmarshal([]byte(claims.Metadata), &md); err != nil {
			t.Fatal(err)
		}
		if want := (meeting.Metadata{Person: "p-chi", Title: "Phó Giám đốc", AgencyName: "UBND thành phố Hà Nội", AgencyShort: "UBND TP Hà Nội"}); md != want {
			t.Errorf("metadata is %+v, want %+v", md, want)
		}
		// Without a tab's name every join is a new one.
		one, _ := h.join("chi", m.ID, nil)
		two, _ := h.join("chi", m.ID, object{})
		if one.Identity == two.Identity || !strings.HasPrefix(one.Identity, "p-chi.") {
			t.Errorf("two joins of the same person are %q and %q", one.Identity, two.Identity)
		}
		for _, tab := range []string{"a.b", strings.Repeat("a", 41), "ă", "a b"} {
			if status, raw := h.call("an", "POST", "/api/v1/meetings/"+m.ID+"/join", object{"tab": tab}, nil); status != http.StatusUnprocessableEntity {
				t.Errorf("tab %q answered %d: %s", tab, status, raw)
			}
		}
	})
}

func TestFullMeeting(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp", "invite": []string{"p-chi"}})
		err := h.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO meeting_people (meeting_id, person_id, relation, added_by, added_at, closes_at)
				WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
				SELECT $1, 'p-' || i, 'joined', 'p-an', 0, 0 FROM n`, m.ID, meeting.MaxPeople)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		path := "/api/v1/meetings/" + m.ID
		if status, raw := h.call("binh", "POST", path+"/join", nil, nil); status != http.StatusForbidden || !strings.Contains(raw, "full") {
			t.Errorf("one too many answered %d: %s", status, raw)
		}
		if status, raw := h.call("an", "POST", path+"/invitations", object{"people": []string{"p-binh"}}, nil); status != http.StatusUnprocessableEntity {
			t.Errorf("an invitation too many answered %d: %s", status, raw)
		}
		h.join("chi", m.ID, nil) // who belongs to it finds room
		want := []string{"meeting.create ok", "meeting.invite ok", "meeting.join denied", "meeting.join ok"}
		if got := h.audited(m.ID); !slices.Equal(got, want) {
			t.Errorf("audited %q, want %q", got, want)
		}
	})
}

func TestGateAdmits(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp"})
		_, chi := h.join("chi", m.ID, object{"tab": "one"})
		admit := func(c accesstoken.Claims) errcode.Code {
			t.Helper()
			if err := h.gate.Admit(t.Context(), c); err != nil {
				return errcode.Of(err)
			}
			return admitted
		}
		if got := admit(chi); got != admitted {
			t.Errorf("chi: %v", got)
		}
		operator := chi
		operator.Key = "devkey"
		if got := admit(operator); got != errcode.Forbidden {
			t.Errorf("an operator's key on a meeting: %v", got)
		}
		operator.Video.Room = "bench"
		if got := admit(operator); got != admitted {
			t.Errorf("an operator's key on his own room: %v", got)
		}
		stray := chi
		stray.Video.Room = "bench"
		if got := admit(stray); got != errcode.Forbidden {
			t.Errorf("a meeting's key on a room of no meeting: %v", got)
		}
		unknown := chi
		unknown.Video.Room = "meeting-0000-0000-0000-0000-0000"
		if got := admit(unknown); got != errcode.NotFound {
			t.Errorf("a meeting that is not there: %v", got)
		}

		// The end of a session shuts the door to its tokens, however young they
		// are, and to those alone.
		_, an := h.join("an", m.ID, object{"tab": "one"})
		h.over["s-chi"] = true
		if got := admit(chi); got != errcode.Forbidden {
			t.Errorf("chi after signing out: %v", got)
		}
		refreshed := chi
		refreshed.NotBefore, refreshed.Expires = h.clock().Add(25*time.Hour), h.clock().Add(26*time.Hour)
		if got := admit(refreshed); got != errcode.Forbidden {
			t.Errorf("chi with a token that was refreshed since: %v", got)
		}
		again := chi
		again.Session = "s-chi-2"
		if got := admit(again); got != admitted {
			t.Errorf("chi, signed in anew: %v", got)
		}
		if got := admit(chi); got != errcode.Forbidden {
			t.Errorf("the old token of the same tab: %v", got)
		}
		nobody := chi
		nobody.Account, nobody.Session = "", ""
		if got := admit(nobody); got != errcode.Forbidden {
			t.Errorf("a token of no session: %v", got)
		}
		if got := admit(an); got != admitted {
			t.Errorf("an after chi's signing out: %v", got)
		}
		h.sessionsErr = errors.New("the database is away")
		if got := admit(an); got != errcode.Internal {
			t.Errorf("nobody to ask: %v", got)
		}
		h.sessionsErr = nil

		// Who came in a lent position stays as long as it is lent.
		actor := identity.Actor{Account: "acc-chi", Person: "p-chi", Session: "s-chi-2", Agency: "a-hn", Position: "lent", Delegation: "d"}
		lent := h.joinAs(actor, m.ID)
		if lent.Position != "lent" {
			t.Fatalf("the token is for %+v", lent)
		}
		if got := admit(lent); got != admitted {
			t.Errorf("in a lent position: %v", got)
		}
		h.over["lent"] = true
		if got := admit(lent); got != errcode.Forbidden {
			t.Errorf("in a position that is lent no more: %v", got)
		}
		actor.Delegation = ""
		if own := h.joinAs(actor, m.ID); own.Position != "" || admit(own) != admitted {
			t.Errorf("in the own position: %+v", own)
		}

		h.call("an", "POST", "/api/v1/meetings/"+m.ID+"/end", nil, nil)
		if got := admit(an); got != errcode.Gone {
			t.Errorf("after the end: %v", got)
		}
		denied := 0
		for _, e := range h.audited(m.ID) {
			if e == "meeting.admit denied" {
				denied++
			}
		}
		if denied != 7 {
			t.Errorf("%d denials audited, want 7: %q", denied, h.audited(m.ID))
		}
	})
}

const admitted = errcode.Code(255)
