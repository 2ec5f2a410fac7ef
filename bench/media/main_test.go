package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/bench/media/tally"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// The driver against a whole node: everybody gets everything, and it is told.
func TestRunAgainstANode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := apptest.Start(t, func(c *app.Config) {
		c.Media.APIKeys = map[string]string{"bench": "a secret of at least thirty-two bytes"}
	})
	target := Target{Name: "commsd", URL: "ws" + strings.TrimPrefix(n.URL, "http"), Key: "bench", Secret: "a secret of at least thirty-two bytes", PID: os.Getpid()}
	s := Scenario{Name: "smoke", Rooms: 1, Publishers: 1, Subscribers: 2, Layer: "f", Speakers: 1}
	during := false
	r, err := Run(ctx, target, s, 2*time.Second, netip.MustParseAddr("127.0.0.1"), func() { during = true })
	if err != nil {
		t.Fatal(err)
	}
	if r.Streams != 4 || r.Wanted != 4 || r.Left != 0 || !during {
		t.Errorf("%d of %d streams, %d lost clients", r.Streams, r.Wanted, r.Left)
	}
	// The machine may be slow and the layer the lowest; both get both.
	if r.Audio.Received < 100 || r.Video.Received < 50 || r.Audio.Streams != 2 || r.Video.Streams != 2 {
		t.Errorf("received %+v and %+v", r.Audio, r.Video)
	}
	if r.Delay.Samples < 5 || r.Delay.P50 <= 0 || r.Delay.P50 > time.Second || r.Picture.Samples != 2 || r.Connected.Samples != 3 {
		t.Errorf("delay %+v, picture %+v, connected %+v", r.Delay, r.Picture, r.Connected)
	}
	if r.CPU <= 0 || r.CPUPerPacket <= 0 || r.RSS <= 0 {
		t.Errorf("CPU %v, %v µs a packet, memory %d", r.CPU, r.CPUPerPacket, r.RSS)
	}
	var text bytes.Buffer
	describe(&text, r)
	if table := tables([]Result{r}, []Limit{{Server: "commsd", Subscribers: 50, Good: r, Why: "reasons"}}); !strings.Contains(table, "| smoke | commsd |") ||
		!strings.Contains(table, "| commsd | 50 |") || !strings.Contains(text.String(), "streams 4 of 4") {
		t.Errorf("told as %s and %s", table, text.String())
	}
}

func TestRunAgainstNobody(t *testing.T) {
	s, err := scenarioOf("room-2")
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Name: "nobody", URL: "ws://127.0.0.1:1", Key: "k", Secret: "s"}
	if _, err := Run(t.Context(), target, s, time.Second, netip.MustParseAddr("127.0.0.1"), func() {}); err == nil || !strings.Contains(err.Error(), "room-2 against nobody") {
		t.Errorf("the error is %v", err)
	}
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	for _, c := range []struct {
		name            string
		people, streams int
		layers          string
	}{{"1x100", 101, 100, "q h f"}, {"room-300", 300, 897, "q"}, {"300-of-3", 900, 1800, ""}} {
		s, err := scenarioOf(c.name)
		if err != nil || s.people() != c.people || s.streams() != c.streams || strings.Join(s.layers(), " ") != c.layers {
			t.Errorf("%s has %d people, %d streams, layers %v: %v", c.name, s.people(), s.streams(), s.layers(), err)
		}
	}
	for args, want := range map[string]string{
		"": "-url",
		"-url ws://127.0.0.1:1 -scenario nowhere": "there is no scenario",
		"-url ws://127.0.0.1:1 -layer x":          "-layer",
		"-url ws://127.0.0.1:1 -rooms 0":          "-rooms",
		"-local nowhere":                          "-local",
		"-compare nginx -commsd x":                "there is no server",
	} {
		if err := run(t.Context(), strings.Fields(args+" -dir "+t.TempDir())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q ends with %v, want %q", args, err, want)
		}
	}
}

func TestParseCPUTime(t *testing.T) {
	if got, err := parseCPUTime("17 (a (strange) name) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0"); err != nil || got != 2*time.Second {
		t.Errorf("read %v, %v", got, err)
	}
	for _, text := range []string{"", "1 (x) S 1 2", "17 (x) S 1 1 1 0 -1 4194560 1 2 3 4 many 50 7 8 20 0"} {
		if got, err := parseCPUTime(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		after, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break
		}
		if time.Now().After(end) {
			t.Fatal("this process computes and takes no time")
		}
	}
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("this process has %d bytes, %v", n, err)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		70 * time.Microsecond: "0.07 ms", 1234 * time.Microsecond: "1.2 ms", 123 * time.Millisecond: "123 ms", 12 * time.Second: "12 s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	if got := spread(tally.Spread{}); got != "none" {
		t.Errorf("no durations are %s", got)
	}
}
