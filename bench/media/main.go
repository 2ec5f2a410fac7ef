// Command media sends a meeting's people against a server that speaks LiveKit's
// signalling protocol (commsd, LiveKit, the forwarder of bench/forwarder) or
// Janus' own, with real simulcast media, and tells what that costs the server
// and how it was served. bench/README.md says what it found.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "media:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("media", flag.ContinueOnError)
	target := Target{Name: "server"}
	flags.StringVar(&target.Name, "name", target.Name, "of the server, for the tables")
	flags.StringVar(&target.URL, "url", "", "ws://host:port of the server")
	flags.StringVar(&target.Key, "key", "", "API key of the server")
	flags.StringVar(&target.Secret, "secret", "", "the key's secret")
	flags.IntVar(&target.PID, "pid", 0, "process id of the server, where it runs on this machine; 0: its CPU time is not told")
	names := flags.String("scenario", "", "names of scenarios, with commas; \"all\", \"none\"; empty: as the flags below say")
	own := Scenario{Name: "own"}
	flags.IntVar(&own.Rooms, "rooms", 1, "rooms")
	flags.IntVar(&own.Publishers, "publishers", 1, "people of a room who send and receive")
	flags.IntVar(&own.Subscribers, "subscribers", 2, "people of a room who receive alone")
	flags.StringVar(&own.Layer, "layer", "f", "highest layer that is sent: q (180p), h (360p), f (720p); empty: sound alone")
	flags.IntVar(&own.Speakers, "speakers", 1, "people of a room who speak; other microphones send comfort noise")
	window := flags.Duration("for", 20*time.Second, "how long each scenario is measured")
	local := flags.String("local", "127.0.0.1", "address to send media from")
	compare := flags.String("compare", "", "servers to start and to measure, with commas: commsd, before, pion, livekit, janus")
	c := comparison{Progress: os.Stdout}
	flags.StringVar(&c.Dir, "dir", "artifacts/bench-media", "with -compare, folder of the tables and profiles")
	flags.StringVar(&c.Commsd, "commsd", "", "with -compare, the binary; empty: looked for in PATH")
	flags.StringVar(&c.Before, "before", "", "likewise, of an earlier commsd")
	flags.StringVar(&c.Forwarder, "forwarder", "", "likewise, of bench/forwarder")
	flags.StringVar(&c.LiveKit, "livekit", "", "likewise, of LiveKit's server")
	flags.StringVar(&c.Janus, "janus", "", "likewise")
	limit := flags.Bool("limit", false, "find how many subscribers of one publisher the server bears; with -compare, after the scenarios")
	asJSON := flags.Bool("json", false, "print a line of JSON for each scenario")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	from, err := netip.ParseAddr(*local)
	if err != nil {
		return fmt.Errorf("-local: %w", err)
	}
	if *compare != "" {
		chosen, err := choose(*names, own)
		if err != nil {
			return err
		}
		c.Servers, c.Window, c.Local, c.Limit = strings.Split(*compare, ","), *window, from, *limit
		return c.run(ctx, chosen)
	}
	if target.URL == "" {
		return errors.New("-url: name the server, such as ws://127.0.0.1:8080")
	}
	if *limit {
		l, err := FindLimit(ctx, target, from, os.Stdout)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(os.Stdout, "%s bears %d subscribers, %.0f packets/s; %s\n", l.Server, l.Subscribers, l.Good.Received, l.Why)
		return err
	}
	chosen, err := choose(*names, own)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		r, err := Run(ctx, target, s, *window, from, func() {})
		if err != nil {
			return err
		}
		if *asJSON {
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return err
			}
			continue
		}
		describe(os.Stdout, r)
	}
	return nil
}

// choose reads -scenario.
func choose(names string, own Scenario) ([]Scenario, error) {
	switch names {
	case "":
		own.About = "as the flags said"
		return []Scenario{own}, nil
	case "all":
		return scenarios, nil
	case "none": // with -limit alone
		return nil, nil
	}
	var out []Scenario
	for name := range strings.SplitSeq(names, ",") {
		s, err := scenarioOf(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
