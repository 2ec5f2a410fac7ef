package signaling_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	lk "commsd/internal/lkproto"
)

// LiveKit's own client of the room service takes ours for what it knows. It is
// a program of another module, so that nothing here links it.
func TestRoomServiceOfficialClient(t *testing.T) {
	program := filepath.Join(t.TempDir(), "operator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/operator")
	build.Dir = "../internal/lkproto/contract"
	build.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the client: %v\n%s", err, out)
	}
	official := func(t *testing.T, s, by *server, kind string) {
		t.Helper()
		an := s.join(t, "an")
		s.join(t, "binh")
		mic := microphone("mic")
		mic.Muted = true // announced before there is any sound
		an.publish(mic)
		an.sees("an", "its track", func(p *lk.ParticipantInfo) bool { return len(p.GetTracks()) == 1 })
		out, err := exec.CommandContext(ctx(t), program, kind, by.http.URL, token(t, "op", grants)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if l := an.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED {
			t.Errorf("an left with %v", l)
		}
	}
	for _, kind := range []string{"protobuf", "json"} {
		t.Run(kind, func(t *testing.T) {
			s, _ := serveOperators(t)
			official(t, s, s, kind)
		})
		t.Run(kind+" by another node", func(t *testing.T) {
			nodes := serveNodes(t, "a", "b")
			official(t, nodes[0].server, nodes[1].server, kind)
		})
	}
}
