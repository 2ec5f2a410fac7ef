package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// comparison is what -compare does: the same scenarios against each server of
// a set, which it starts itself, one after the other.
type comparison struct {
	Dir       string // of the tables, profiles and logs
	Servers   []string
	Commsd    string // binaries; "" looks for one in PATH, and leaves the server out where there is none
	Before    string // an earlier commsd, to see what a change is worth
	Forwarder string
	LiveKit   string
	Janus     string
	Window    time.Duration
	Local     netip.Addr
	Limit     bool // find where each begins to lose as well
	Progress  io.Writer
}

// commands are what each server of the set is looked for as.
var commands = map[string]string{"commsd": "commsd", "before": "commsd-before", "pion": "forwarder", "livekit": "livekit-server", "janus": "janus"}

// launch starts a server of the set. A nil server without an error is not
// installed.
func (c comparison) launch(ctx context.Context, name, dir string) (s *server, admin string, err error) {
	binary := map[string]string{"commsd": c.Commsd, "before": c.Before, "pion": c.Forwarder, "livekit": c.LiveKit, "janus": c.Janus}[name]
	if binary == "" {
		if binary, err = exec.LookPath(commands[name]); err != nil {
			return nil, "", nil //nolint:nilerr // it is not installed
		}
	}
	switch name {
	case "commsd":
		return startCommsd(ctx, "commsd", binary, dir)
	case "before":
		s, _, err = startCommsd(ctx, "commsd before", binary, dir)
	case "pion":
		s, err = startForwarder(ctx, binary, dir)
	case "livekit":
		s, err = startLiveKit(ctx, binary, dir)
	default:
		s, err = startJanus(ctx, binary, dir)
	}
	return s, "", err
}

// run measures and writes media.md and media.json into Dir.
func (c comparison) run(ctx context.Context, chosen []Scenario) error {
	for _, name := range c.Servers {
		if commands[name] == "" {
			return fmt.Errorf("-compare: there is no server %q; there are commsd, before, pion, livekit, janus", name)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", c.Dir, err)
	}
	var results []Result
	var limits []Limit
	for _, name := range c.Servers {
		r, l, err := c.one(ctx, name, chosen)
		results, limits = append(results, r...), append(limits, l...)
		if err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(struct {
		Results []Result `json:"results"`
		Limits  []Limit  `json:"limits"`
	}{results, limits}, "", "\t")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(c.Dir, "media.json"), data, 0o600),
		os.WriteFile(filepath.Join(c.Dir, "media.md"), []byte(tables(results, limits)), 0o600),
	)
}

// one starts a server, measures it in all scenarios and stops it.
func (c comparison) one(ctx context.Context, name string, chosen []Scenario) (results []Result, limits []Limit, err error) {
	dir, err := os.MkdirTemp("", "bench-media-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if err == nil { // otherwise the logs in it tell more
			_ = os.RemoveAll(dir)
		}
	}()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(c.Progress, format+"\n", args...) } // progress is not worth an error
	for _, s := range chosen {
		if name == "janus" && (s.Publishers != 1 || s.Rooms != 1) {
			continue // its people send or receive; one publisher is what compares
		}
		// A server of its own for each, so that the memory of one is not the next one's.
		r, err := c.scenario(ctx, name, dir, s)
		if errors.Is(err, errNotInstalled) {
			say("%s is not installed and left out", name)
			return results, limits, nil
		}
		if ctx.Err() != nil {
			return results, limits, err
		}
		if err != nil { // others are measured all the same, and the table tells
			say("%v", err)
			r = Result{Server: name, Scenario: s, Failed: err.Error()}
		} else {
			describe(c.Progress, r)
		}
		results = append(results, r)
	}
	if c.Limit {
		server, _, err := c.launch(ctx, name, dir)
		if err != nil || server == nil {
			return results, limits, err
		}
		l, err := FindLimit(ctx, server.Target, c.Local, c.Progress)
		if err := errors.Join(err, server.stop()); err != nil {
			return results, limits, err
		}
		limits = append(limits, l)
	}
	return results, limits, nil
}

var errNotInstalled = errors.New("not installed")

func (c comparison) scenario(ctx context.Context, name, dir string, s Scenario) (Result, error) {
	server, admin, err := c.launch(ctx, name, dir)
	if err != nil {
		return Result{}, err
	}
	if server == nil {
		return Result{}, errNotInstalled
	}
	profiled := make(chan error, 1)
	profile := func() {}
	if admin != "" && slices.Contains([]string{"1x100", "room-300"}, s.Name) {
		profile = func() {
			seconds := int(c.Window.Seconds()) - 1
			err := fetch(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", admin, max(seconds, 1)), filepath.Join(c.Dir, "cpu-"+s.Name+".pprof"))
			profiled <- errors.Join(err, fetch(ctx, admin+"/debug/pprof/heap", filepath.Join(c.Dir, "heap-"+s.Name+".pprof")))
		}
	} else {
		close(profiled)
	}
	r, err := Run(ctx, server.Target, s, c.Window, c.Local, profile)
	if err == nil {
		err = <-profiled // profile has run by then
	}
	return r, errors.Join(err, server.stop())
}

// tables are the results as bench/README.md shows them.
func tables(results []Result, limits []Limit) string {
	var b strings.Builder
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %v ", c)
		}
		b.WriteString("|\n")
	}
	head := func(cells ...any) {
		row(cells...)
		b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
	}
	head("Scenario", "Server", "Forwarded packets/s", "Lost", "Server CPU a packet", "Server CPU", "Memory a client", "Delay p50, p99", "Connected p50, p99", "Load")
	for _, r := range results {
		if r.Failed != "" {
			row(r.Scenario.Name, r.Server, "failed: "+r.Failed, "", "", "", "", "", "", "")
			continue
		}
		lost := fmt.Sprintf("%.3f %%", 100*r.Lost())
		if r.Streams != r.Wanted {
			lost += fmt.Sprintf(", %d of %d streams", r.Streams, r.Wanted)
		}
		row(r.Scenario.Name, r.Server, fmt.Sprintf("%.0f", r.Received), lost, fmt.Sprintf("%.1f µs", r.CPUPerPacket), fmt.Sprintf("%.2f cores", cores(r.CPU, r.Window)),
			fmt.Sprintf("%.2f MB", megabytes(r.RSSPerClient)), short(r.Delay.P50)+", "+short(r.Delay.P99), short(r.Connected.P50)+", "+short(r.Connected.P99), fmt.Sprintf("%.0f", r.Load))
	}
	if len(limits) > 0 {
		b.WriteString("\n")
		head("Server", "Last good step: subscribers", "Forwarded packets/s", "Server CPU", "What came next")
		for _, l := range limits {
			row(l.Server, l.Subscribers, fmt.Sprintf("%.0f", l.Good.Received), fmt.Sprintf("%.2f cores", cores(l.Good.CPU, l.Good.Window)), l.Why)
		}
	}
	return b.String()
}
